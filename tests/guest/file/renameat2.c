/* renameat2: no replacing, exchanging, and flags that exclude each other. */
#include "t.h"

int main(void) {
    t_put("a", "A");
    t_put("b", "B");
    CALL(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
    CALL(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
    t_show("a");
    t_show("b");
    CALL(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_EXCHANGE));
    CALL(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
    CALL(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
    CALL(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", 64));
    CALL(mkdir("d", 0755));
    int dir = MUST(open("d", O_RDONLY));
    CALL(renameat(AT_FDCWD, "c", dir, "c"));
    t_show("d/c");
    CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "d", RENAME_EXCHANGE));
    t_show("b/c");
    t_show("d");
    return 0;
}

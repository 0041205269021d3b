/* The rename matrix: files and directories onto nothing, files, full and empty directories. */
#include "t.h"

int main(void) {
    t_put("a", "A");
    t_put("b", "B");
    CALL(mkdir("d", 0755));
    CALL(mkdir("e", 0755));
    CALL(mkdir("full", 0755));
    t_put("full/x", "X");
    CALL(rename("a", "b"));
    t_show("b");
    CALL(access("a", F_OK));
    CALL(rename("missing", "b"));
    CALL(rename("b", "d"));
    CALL(rename("d", "b"));
    CALL(rename("d", "full"));
    CALL(rename("full", "d"));
    t_show("d/x");
    CALL(rename("d", "d/sub"));
    CALL(rename("b", "b"));
    CALL(rename("b", "missing/b"));
    CALL(rename("b", "b/c"));
    CALL(rename("b", "new/"));
    CALL(rename("e", "new/"));
    CALL(rename("b", ""));
    CALL(rename(".", "dot"));
    CALL(link("b", "b2"));
    CALL(rename("b", "b2"));
    CALL(access("b", F_OK));
    CALL(rename("d/x", "x"));
    t_show("x");
    CALL(symlink("x", "s"));
    CALL(rename("s", "s2"));
    char target[8] = {0};
    CALL(readlink("s2", target, 8));
    CALL(rename("x", "s2"));
    struct stat st;
    CALL(lstat("s2", &st));
    IS(S_ISREG(st.st_mode));
    CALL(rename(BAD_POINTER, "z"));
    return 0;
}

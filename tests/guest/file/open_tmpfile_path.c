/* O_PATH descriptors cannot be read; O_TMPFILE files have no name; O_NOFOLLOW stops at links. */
#include "t.h"

int main(void) {
    t_put("f", "text");
    CALL(symlink("f", "l"));
    int path = MUST(open("f", O_PATH));
    char c;
    CALL(read(path, &c, 1));
    CALL(write(path, "x", 1));
    CALL(fchmod(path, 0600));
    struct stat st;
    CALL(fstat(path, &st));
    NUM(st.st_size);
    CALL(open("l", O_RDONLY | O_NOFOLLOW));
    OK(open("l", O_PATH | O_NOFOLLOW));
    OK(open("l", O_RDONLY));
    int temp = MUST(open(".", O_TMPFILE | O_RDWR, 0600));
    CALL(fstat(temp, &st));
    NUM(st.st_nlink);
    CALL(write(temp, "abc", 3));
    CALL(pread(temp, &c, 1, 2));
    SAY("%c", c);
    CALL(open(".", O_TMPFILE | O_RDONLY, 0600));
    return 0;
}

/* Symbolic links: reading, chains, loops, trailing slashes, dangling targets. */
#include "t.h"

int main(void) {
    char text[64];
    t_put("f", "through");
    CALL(symlink("f", "l1"));
    CALL(symlink("l1", "l2"));
    t_show("l2");
    CALL(symlink("x", "l1"));
    CALL(symlink("", "empty"));
    memset(text, '.', sizeof text);
    CALL(readlink("l2", text, sizeof text));
    IS(memcmp(text, "l1.", 3) == 0);
    CALL(readlink("l2", text, 1));
    CALL(readlink("l2", text, 0));
    CALL(readlink("f", text, 10));
    CALL(readlink("missing", text, 10));
    CALL(symlink("loop2", "loop1"));
    CALL(symlink("loop1", "loop2"));
    CALL(open("loop1", O_RDONLY));
    CALL(symlink("nowhere", "dangling"));
    CALL(open("dangling", O_RDONLY));
    CALL(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644));
    OK(open("dangling", O_CREAT | O_WRONLY, 0644));
    CALL(access("nowhere", F_OK));
    CALL(mkdir("d", 0755));
    CALL(symlink("d", "dl"));
    CALL(mkdir("dl/sub", 0755));
    CALL(access("d/sub", F_OK));
    CALL(rmdir("dl"));
    CALL(open("l1/", O_RDONLY));
    OK(open("dl/", O_RDONLY));
    CALL(chdir("dl/sub"));
    CALL(access("../../f", F_OK));
    return 0;
}

/* Hard links count, unlinked files live on while open, directories need rmdir. */
#include "t.h"

static void links(int fd) {
    struct stat st;
    MUST(fstat(fd, &st));
    SAY("links: %d", (int)st.st_nlink);
}

int main(void) {
    t_put("f", "kept");
    int fd = MUST(open("f", O_RDWR));
    links(fd);
    CALL(link("f", "g"));
    links(fd);
    CALL(link("f", "g"));
    CALL(link("missing", "h"));
    CALL(mkdir("d", 0755));
    CALL(link("d", "h"));
    CALL(unlink("f"));
    links(fd);
    CALL(unlink("g"));
    links(fd);
    char text[8] = {0};
    CALL(read(fd, text, 8));
    SAY("%s", text);
    CALL(open("g", O_RDONLY));
    CALL(unlink("g"));
    CALL(unlink("d"));
    CALL(rmdir("d"));
    CALL(rmdir("d"));
    t_put("f", "x");
    CALL(rmdir("f"));
    CALL(unlink("f/"));
    CALL(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
    CALL(unlinkat(AT_FDCWD, "f", 1234));
    CALL(symlink("f", "s"));
    CALL(linkat(AT_FDCWD, "s", AT_FDCWD, "s2", 0));
    CALL(linkat(AT_FDCWD, "s", AT_FDCWD, "f2", AT_SYMLINK_FOLLOW));
    struct stat st;
    lstat("s2", &st);
    IS(S_ISLNK(st.st_mode));
    lstat("f2", &st);
    IS(S_ISREG(st.st_mode));
    return 0;
}

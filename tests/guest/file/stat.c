/* stat fields of each kind of file, times that move, and the errors. */
#include <sys/sysmacros.h>
#include "t.h"

static void show(const char *path) {
    struct stat st;
    MUST(lstat(path, &st));
    SAY("%s mode %o links %d uid %d gid %d size %lld blksize %ld", path, st.st_mode,
        (int)st.st_nlink, st.st_uid, st.st_gid,
        S_ISDIR(st.st_mode) ? -1 : (long long)st.st_size, (long)st.st_blksize);
}

int main(void) {
    umask(022);
    t_put("f", "12345");
    CALL(symlink("f", "l"));
    CALL(mkdir("d", 0750));
    CALL(mkdir("d/e", 0700));
    CALL(mkfifo("p", 0600));
    show("f");
    show("l");
    show("d");
    show("p");
    struct stat a, b;
    CALL(stat("l", &a));
    CALL(stat("f", &b));
    IS(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    CALL(stat("/dev/null", &a));
    SAY("null is %u:%u mode %o", major(a.st_rdev), minor(a.st_rdev), a.st_mode);
    CALL(stat("missing", &a));
    CALL(stat("f/x", &a));
    CALL(stat("f", BAD_POINTER));
    CALL(stat(BAD_POINTER, &a));
    CALL(fstat(99, &a));
    CALL(fstatat(AT_FDCWD, "", &a, 0));
    int fd = MUST(open("f", O_RDWR));
    CALL(fstatat(fd, "", &a, AT_EMPTY_PATH));
    CALL(fstatat(AT_FDCWD, "l", &a, AT_SYMLINK_NOFOLLOW));
    IS(S_ISLNK(a.st_mode));
    CALL(fstatat(AT_FDCWD, "l", &a, 0x40000000));
    t_pause_ms(20);
    fstat(fd, &a);
    CALL(write(fd, "x", 1));
    fstat(fd, &b);
    IS(b.st_mtim.tv_sec * 1000000000ll + b.st_mtim.tv_nsec >
       a.st_mtim.tv_sec * 1000000000ll + a.st_mtim.tv_nsec);
    return 0;
}

/* utimensat and futimens: exact, now, omitted, and refused. */
#include "t.h"

static void times(const char *path) {
    struct stat st;
    MUST(lstat(path, &st));
    SAY("%lld.%09ld %lld.%09ld", (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
        (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

int main(void) {
    t_put("f", "x");
    CALL(symlink("f", "l"));
    struct timespec at[2] = {{1000, 1}, {2000, 999999999}};
    CALL(utimensat(AT_FDCWD, "f", at, 0));
    times("f");
    struct timespec omit[2] = {{5, UTIME_OMIT}, {3000, 7}};
    CALL(utimensat(AT_FDCWD, "f", omit, 0));
    times("f");
    struct timespec bad[2] = {{5, 1000000000}, {3000, 7}};
    CALL(utimensat(AT_FDCWD, "f", bad, 0));
    CALL(utimensat(AT_FDCWD, "missing", at, 0));
    CALL(utimensat(AT_FDCWD, "l", at, AT_SYMLINK_NOFOLLOW));
    times("l");
    int fd = MUST(open("f", O_RDWR));
    CALL(futimens(fd, at));
    times("f");
    CALL(futimens(fd, NULL));
    struct stat st;
    fstat(fd, &st);
    IS(st.st_mtim.tv_sec > 1000000);
    CALL(futimens(99, at));
    CALL(utimensat(AT_FDCWD, "f", BAD_POINTER, 0));
    return 0;
}

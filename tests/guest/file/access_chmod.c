/* access, chmod, chown as root: what is remembered, what X_OK says. */
#include "t.h"

static void mode(const char *path) {
    struct stat st;
    MUST(stat(path, &st));
    SAY("%s %04o %d:%d", path, st.st_mode & 07777, st.st_uid, st.st_gid);
}

int main(void) {
    umask(0);
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0640));
    mode("f");
    CALL(access("f", R_OK | W_OK));
    CALL(access("f", X_OK));
    CALL(access("f", F_OK));
    CALL(access("f", 8));
    CALL(access("missing", F_OK));
    CALL(access(BAD_POINTER, F_OK));
    CALL(chmod("f", 04755));
    mode("f");
    CALL(access("f", X_OK));
    CALL(fchmod(fd, 0));
    mode("f");
    OK(open("f", O_RDWR));
    CALL(access("f", R_OK | W_OK));
    CALL(chmod("missing", 0600));
    CALL(fchmod(99, 0600));
    CALL(chmod("f", 0177777));
    mode("f");
    CALL(fchmodat(AT_FDCWD, "f", 0644, 0));
    CALL(chown("f", 0, 0));
    CALL(chown("f", -1, -1));
    mode("f");
    CALL(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
    CALL(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, 0x4000000));
    CALL(mkdir("d", 01777));
    mode("d");
    return 0;
}

/* Process, user and group numbers and changing them as root. */
#include <grp.h>
#include "t.h"

int main(void) {
    IS(getpid() > 1);
    IS(getppid() >= 0);
    IS(gettid() == getpid());
    SAY("%d %d %d %d", getuid(), geteuid(), getgid(), getegid());
    uid_t real, effective, saved;
    CALL(getresuid(&real, &effective, &saved));
    SAY("%d %d %d", real, effective, saved);
    IS(getgroups(0, NULL) >= 0);
    IS(getpgid(0) > 0);
    IS(getsid(0) >= 0);
    IS(getpgrp() == getpgid(0));
    CALL(getpgid(0x3fffffff));
    CALL(setresgid(100, 100, 100));
    CALL(setresuid(1000, 1000, 1000));
    SAY("%d %d %d %d", getuid(), geteuid(), getgid(), getegid());
    CALL(setuid(0));
    CALL(setgid(0));
    CALL(setgroups(0, NULL));
    return 0;
}

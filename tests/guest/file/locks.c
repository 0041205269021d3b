/* POSIX record locks within one process, OFD locks between two descriptors, flock. */
#include <sys/file.h>
#include "t.h"

int main(void) {
    t_put("f", "0123456789");
    int a = MUST(open("f", O_RDWR));
    int b = MUST(open("f", O_RDWR));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
    CALL(fcntl(a, F_SETLK, &lock));
    CALL(fcntl(b, F_SETLK, &lock));
    CALL(fcntl(b, F_GETLK, &lock));
    NUM(lock.l_type);
    lock.l_type = F_UNLCK;
    CALL(fcntl(a, F_SETLK, &lock));
    struct flock ofd = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
    CALL(fcntl(a, F_OFD_SETLK, &ofd));
    CALL(fcntl(b, F_OFD_SETLK, &ofd));
    ofd.l_start = 5;
    CALL(fcntl(b, F_OFD_SETLK, &ofd));
    ofd.l_start = 0;
    ofd.l_pid = 0;
    CALL(fcntl(b, F_OFD_GETLK, &ofd));
    SAY("type %d start %d len %d pid %d", ofd.l_type, (int)ofd.l_start, (int)ofd.l_len,
        (int)ofd.l_pid);
    ofd.l_pid = 7;
    CALL(fcntl(b, F_OFD_SETLK, &ofd));
    CALL(close(a));
    ofd.l_pid = 0;
    ofd.l_type = F_WRLCK;
    ofd.l_start = 0;
    ofd.l_len = 5;
    CALL(fcntl(b, F_OFD_SETLK, &ofd));
    a = MUST(open("f", O_RDWR));
    CALL(flock(a, LOCK_EX));
    CALL(flock(b, LOCK_EX | LOCK_NB));
    CALL(flock(a, LOCK_SH));
    CALL(flock(b, LOCK_SH | LOCK_NB));
    CALL(flock(a, LOCK_UN));
    CALL(flock(b, LOCK_EX | LOCK_NB));
    CALL(flock(b, 0));
    CALL(flock(99, LOCK_SH));
    lock.l_type = 77;
    CALL(fcntl(a, F_SETLK, &lock));
    CALL(fcntl(a, F_SETLK, BAD_POINTER));
    return 0;
}

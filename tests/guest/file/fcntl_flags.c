/* fcntl: descriptor and status flags, unknown commands, pipes' sizes, owners. */
#include "t.h"

int main(void) {
    int fd = MUST(open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0644));
    CALL(fcntl(fd, F_GETFD));
    CALL(fcntl(fd, F_SETFD, 0));
    CALL(fcntl(fd, F_GETFD));
    CALL(fcntl(fd, F_GETFL) & ~0100000);
    CALL(fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND | O_WRONLY | O_CREAT));
    CALL(fcntl(fd, F_GETFL) & ~0100000);
    CALL(fcntl(fd, 9999, 0));
    CALL(fcntl(99, F_GETFD));
    int folder = MUST(open(".", O_RDONLY | O_DIRECTORY));
    CALL(fcntl(folder, F_NOTIFY, 0));
    CALL(fcntl(folder, F_NOTIFY, DN_MULTISHOT));
    CALL(fcntl(fd, F_NOTIFY, 0));
    CALL(fcntl(fd, F_NOTIFY, DN_CREATE) < 0);
    int ends[2];
    MUST(pipe2(ends, O_NONBLOCK));
    CALL(fcntl(ends[0], F_GETFL));
    CALL(fcntl(ends[1], F_GETFL));
    CALL(fcntl(ends[0], F_GETPIPE_SZ));
    CALL(fcntl(ends[0], F_SETPIPE_SZ, 5000));
    CALL(fcntl(ends[1], F_GETPIPE_SZ));
    CALL(fcntl(fd, F_GETPIPE_SZ));
    CALL(pipe2(ends, O_TRUNC));
    return 0;
}

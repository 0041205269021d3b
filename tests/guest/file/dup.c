/* dup, dup2, dup3: lowest numbers, shared offsets, close-on-exec, limits. */
#include <sys/resource.h>
#include "t.h"

int main(void) {
    t_put("f", "0123456789");
    int fd = MUST(open("f", O_RDONLY));
    NUM(fd);
    CALL(dup(fd));
    CALL(dup2(fd, 10));
    char c;
    CALL(read(fd, &c, 1));
    CALL(read(4, &c, 1));
    CALL(read(10, &c, 1));
    SAY("%c", c);
    CALL(close(4));
    CALL(dup(fd));
    CALL(dup2(fd, fd));
    CALL(dup2(99, 99));
    CALL(dup2(99, 5));
    CALL(dup2(fd, -1));
    CALL(dup2(fd, 100000000));
    CALL(dup3(fd, 20, O_CLOEXEC));
    CALL(fcntl(20, F_GETFD));
    CALL(fcntl(10, F_GETFD));
    CALL(dup3(fd, fd, 0));
    CALL(dup3(fd, 21, O_APPEND));
    CALL(dup(99));
    CALL(fcntl(fd, F_DUPFD, 15));
    CALL(fcntl(fd, F_DUPFD, 15));
    CALL(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    CALL(fcntl(5, F_GETFD));
    CALL(fcntl(fd, F_DUPFD, -1));
    struct rlimit limit = {16, 16};
    CALL(setrlimit(RLIMIT_NOFILE, &limit));
    CALL(dup2(fd, 16));
    CALL(fcntl(fd, F_DUPFD, 16));
    while (dup(fd) >= 0) {
    }
    SAY("%s", t_error(errno));
    CALL(open("f", O_RDONLY));
    int ends[2];
    CALL(pipe(ends));
    return 0;
}

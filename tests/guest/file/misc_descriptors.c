/* close_range, pipe sizes, links to unnamed files, vectored calls with flags, epoll's exclusive mode. */
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include "t.h"

int main(void) {
    int p[2];
    MUST(pipe(p));
    CALL(fcntl(p[0], F_GETPIPE_SZ));
    CALL(fcntl(p[0], F_SETPIPE_SZ, 5000));
    CALL(fcntl(p[0], F_SETPIPE_SZ, 0));
    CALL(fcntl(p[0], F_SETPIPE_SZ, 1 << 30));
    CALL(fcntl(0, F_SETPIPE_SZ + 100, 1));

    int unnamed = MUST(open(".", O_TMPFILE | O_RDWR, 0600));
    MUST(write(unnamed, "abc", 3));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", unnamed);
    CALL(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    CALL(access("named", R_OK));
    int exclusive = MUST(open(".", O_TMPFILE | O_EXCL | O_RDWR, 0600));
    snprintf(path, sizeof path, "/proc/self/fd/%d", exclusive);
    CALL(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
    int gone = MUST(open("gone", O_CREAT | O_RDWR, 0600));
    MUST(unlink("gone"));
    snprintf(path, sizeof path, "/proc/self/fd/%d", gone);
    CALL(linkat(AT_FDCWD, path, AT_FDCWD, "back", AT_SYMLINK_FOLLOW));

    char a[4], b[4];
    struct iovec two[2] = {{a, 2}, {b, 2}};
    CALL(preadv2(unnamed, two, 2, 1, 0));
    CALL(preadv2(unnamed, two, 2, 1, 0x1000));
    CALL(preadv2(unnamed, two, 2, -2, 0));
    CALL(pwritev2(unnamed, two, 1, 0, RWF_APPEND));
    CALL(lseek(unnamed, 0, SEEK_END));
    CALL(pwritev2(unnamed, two, 1, -1, RWF_DSYNC));
    CALL(preadv(p[0], two, 2, 0));

    int epoll = MUST(epoll_create1(0));
    struct epoll_event event = {EPOLLIN | EPOLLEXCLUSIVE, {0}};
    CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &event));
    CALL(epoll_ctl(epoll, EPOLL_CTL_MOD, p[0], &event));
    event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p[1], &event));
    event.events = EPOLLIN;
    CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, unnamed, &event));
    CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event));
    CALL(epoll_ctl(epoll, 9, p[1], &event));
    CALL(epoll_wait(epoll, &event, 0, 0));
    CALL(epoll_wait(p[0], &event, 1, 0));
    CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, 999, &event));
    CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p[1], BAD_POINTER));

    CALL(close_range(10, 5, 0));
    CALL(close_range(3, ~0u, 1 << 5));
    CALL(close_range(p[1], p[1], CLOSE_RANGE_CLOEXEC));
    CALL(fcntl(p[1], F_GETFD));
    CALL(close_range(3, ~0u, 0));
    CALL(fcntl(p[1], F_GETFD));
    CALL(dup(0) == 3);
    return 0;
}

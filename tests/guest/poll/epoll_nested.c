/* An epoll inside an epoll, inside a poll; loops are refused. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "t.h"

int main(void) {
    int inner = MUST(epoll_create1(0)), outer = MUST(epoll_create1(0));
    int fd = MUST(eventfd(0, EFD_NONBLOCK));
    struct epoll_event in = {EPOLLIN, {.u64 = 1}}, got;
    CALL(epoll_ctl(inner, EPOLL_CTL_ADD, fd, &in));
    CALL(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &in));
    CALL(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &in));
    CALL(epoll_wait(outer, &got, 1, 0));
    CALL(eventfd_write(fd, 1));
    CALL(epoll_wait(outer, &got, 1, 0));
    struct pollfd p = {outer, POLLIN, 0};
    CALL(poll(&p, 1, 0));
    uint64_t value;
    CALL(read(fd, &value, 8));
    CALL(epoll_wait(outer, &got, 1, 0));
    CALL(poll(&p, 1, 0));
    return 0;
}

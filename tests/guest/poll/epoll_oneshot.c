/* EPOLLONESHOT disarms after one event until it is armed again; EPOLLEXCLUSIVE's rules. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "t.h"

int main(void) {
    int ep = MUST(epoll_create1(0));
    int fd = MUST(eventfd(1, 0));
    struct epoll_event event = {EPOLLIN | EPOLLONESHOT, {.u64 = 5}}, got;
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    CALL(epoll_wait(ep, &got, 1, 0));
    SAY("%x %llu", got.events, (unsigned long long)got.data.u64);
    CALL(epoll_wait(ep, &got, 1, 0));
    CALL(eventfd_write(fd, 1));
    CALL(epoll_wait(ep, &got, 1, 10));
    CALL(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event));
    CALL(epoll_wait(ep, &got, 1, 0));
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    CALL(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
    event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    CALL(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event));
    CALL(epoll_wait(ep, &got, 1, 0));
    return 0;
}

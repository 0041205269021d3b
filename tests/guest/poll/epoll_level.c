/* epoll, level triggered: what is ready stays ready; adding, changing, removing; errors. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "t.h"

static int ep;

static void wait_once(void) {
    struct epoll_event events[8];
    int n = epoll_wait(ep, events, 8, 0);
    printf("%d:", n);
    for (int i = 0; i < n; i++) {
        printf(" %x/%llu", events[i].events, (unsigned long long)events[i].data.u64);
    }
    SAY(" ");
}

int main(void) {
    ep = MUST(epoll_create1(EPOLL_CLOEXEC));
    int p[2];
    MUST(pipe(p));
    struct epoll_event in = {EPOLLIN, {.u64 = 1}}, out = {EPOLLOUT, {.u64 = 2}};
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &in));
    wait_once();
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &out));
    wait_once();
    CALL(write(p[1], "ab", 2));
    CALL(epoll_ctl(ep, EPOLL_CTL_DEL, p[1], NULL));
    wait_once();
    wait_once();
    char c;
    CALL(read(p[0], &c, 1));
    wait_once();
    CALL(read(p[0], &c, 1));
    wait_once();
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &in));
    CALL(epoll_ctl(ep, EPOLL_CTL_MOD, p[1], &out));
    CALL(epoll_ctl(ep, EPOLL_CTL_DEL, p[1], &out));
    CALL(epoll_ctl(ep, 9, p[1], &out));
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &in));
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, 99, &in));
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], BAD_POINTER));
    int file = MUST(open("f", O_CREAT | O_RDWR, 0644));
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, file, &in));
    CALL(close(p[1]));
    wait_once();
    CALL(close(p[0]));
    wait_once();
    struct epoll_event event;
    CALL(epoll_wait(ep, &event, 0, 0));
    CALL(epoll_wait(ep, &event, -1, 0));
    int full = MUST(eventfd(1, 0));
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, full, &in));
    CALL(epoll_wait(ep, BAD_POINTER, 1, 0));
    CALL(epoll_create(0));
    CALL(epoll_create1(7));
    return 0;
}

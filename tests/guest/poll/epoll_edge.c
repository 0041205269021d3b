/* epoll, edge triggered: one event for each change, none for what was ready already. */
#include <sys/epoll.h>
#include <sys/socket.h>
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
    ep = MUST(epoll_create1(0));
    int p[2], s[2];
    char text[64];
    MUST(pipe2(p, O_NONBLOCK));
    struct epoll_event in = {EPOLLIN | EPOLLET, {.u64 = 1}};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &in));
    wait_once();
    MUST(write(p[1], "a", 1));
    wait_once();
    wait_once();
    MUST(write(p[1], "b", 1));
    wait_once();
    MUST(read(p[0], text, 1));
    wait_once();
    MUST(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &in));
    wait_once();
    wait_once();
    MUST(read(p[0], text, 64));
    MUST(close(p[1]));
    wait_once();
    wait_once();
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    struct epoll_event both = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u64 = 2}};
    MUST(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &both));
    wait_once();
    wait_once();
    MUST(write(s[1], "xyz", 3));
    wait_once();
    wait_once();
    MUST(shutdown(s[1], SHUT_WR));
    wait_once();
    MUST(close(s[1]));
    wait_once();
    wait_once();
    return 0;
}

/* Edge-triggered sockets: an edge for each arrival, none for a bare acknowledgement. */
#include <sys/epoll.h>
#include "net.h"

static int ep;

static void wait_for(int ms) {
    struct epoll_event events[4];
    int n = epoll_wait(ep, events, 4, ms);
    printf("%d:", n);
    for (int i = 0; i < n; i++) {
        printf(" %x", events[i].events);
    }
    SAY(" ");
}

int main(void) {
    int s[2];
    char text[16];
    n_pair(s);
    ep = MUST(epoll_create1(0));
    struct epoll_event both = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u64 = 1}};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &both));
    wait_for(0);
    wait_for(50);
    MUST(write(s[0], "out", 3));
    MUST(recv(s[1], text, 3, MSG_WAITALL));
    wait_for(50);
    MUST(write(s[1], "a", 1));
    wait_for(5000);
    wait_for(50);
    MUST(write(s[1], "b", 1));
    wait_for(5000);
    MUST(read(s[0], text, 16));
    wait_for(50);
    MUST(shutdown(s[1], SHUT_WR));
    wait_for(5000);
    wait_for(50);
    return 0;
}

/* Edges of two TCP sockets: what was sent to both before one epoll_wait is reported by that one. */
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "t.h"

#define ROUNDS 100

static void connect_pair(int *pair) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    pair[0] = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(pair[0], (struct sockaddr *)&address, sizeof address));
    pair[1] = MUST(accept(listener, NULL, NULL));
    close(listener);
}

int main(void) {
    int pair[2];
    char text[64];
    struct epoll_event events[4];
    connect_pair(pair);
    int ep = MUST(epoll_create1(0));
    for (int i = 0; i < 2; i++) {
        struct epoll_event wanted = {EPOLLIN | EPOLLOUT | EPOLLET, {.u64 = (uint64_t)i}};
        MUST(epoll_ctl(ep, EPOLL_CTL_ADD, pair[i], &wanted));
    }
    CALL(epoll_wait(ep, events, 4, 1000));
    CALL(epoll_wait(ep, events, 4, 0));
    int both = 0, again = 0, in = 0;
    for (int round = 0; round < ROUNDS; round++) {
        MUST(send(pair[0], "Hello!", 6, 0));
        MUST(send(pair[1], "world!!!", 8, 0));
        int count = (int)MUST(epoll_wait(ep, events, 4, 1000));
        both += count == 2;
        for (int i = 0; i < count; i++) {
            in += events[i].events == (EPOLLIN | EPOLLOUT);
        }
        again += MUST(epoll_wait(ep, events, 4, 0)) != 0;
        MUST(recv(pair[1], text, sizeof text, MSG_DONTWAIT));
        MUST(recv(pair[0], text, sizeof text, MSG_DONTWAIT));
    }
    SAY("both in %d rounds, %d events of input, told twice in %d", both, in, again);
    return 0;
}

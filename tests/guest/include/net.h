/* Sockets on loopback, with ports that the kernel chooses. */
#ifndef KILN_TEST_NET_H
#define KILN_TEST_NET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "t.h"

static inline struct sockaddr_in n_loopback(int port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline int n_port(int fd) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    MUST(getsockname(fd, (struct sockaddr *)&address, &size));
    return ntohs(address.sin_port);
}

static inline int n_bind(int fd, int port) {
    struct sockaddr_in address = n_loopback(port);
    return bind(fd, (struct sockaddr *)&address, sizeof address);
}

static inline int n_connect(int fd, int port) {
    struct sockaddr_in address = n_loopback(port);
    return connect(fd, (struct sockaddr *)&address, sizeof address);
}

static inline int n_listener(void) {
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(n_bind(fd, 0));
    MUST(listen(fd, 64));
    return fd;
}

/* A connected pair over TCP. */
static inline void n_pair(int pair[2]) {
    int listener = n_listener();
    pair[0] = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(n_connect(pair[0], n_port(listener)));
    pair[1] = MUST(accept(listener, NULL, NULL));
    close(listener);
}

/* Waits up to ten seconds until the events are there and returns what poll says. */
static inline int n_await(int fd, int events) {
    struct pollfd p = {fd, events, 0};
    return poll(&p, 1, 10000) == 1 ? p.revents : -1;
}

#endif

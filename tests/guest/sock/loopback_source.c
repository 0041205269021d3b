/* Whoever speaks to an address of 127/8 without having bound one is 127.0.0.1; a bound one stays. */
#include "net.h"

static struct sockaddr_in nine(int port) {
    struct sockaddr_in at = n_loopback(port);
    at.sin_addr.s_addr = htonl(0x7f000009);
    return at;
}

static void show(const char *what, int (*ask)(int, struct sockaddr *, socklen_t *), int fd) {
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    MUST(ask(fd, (struct sockaddr *)&at, &size));
    SAY("%s: %s", what, inet_ntoa(at.sin_addr));
}

static void datagrams(void) {
    int in = MUST(socket(AF_INET, SOCK_DGRAM, 0)), out = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    struct sockaddr_in at = nine(0), from;
    socklen_t size = sizeof from;
    MUST(bind(in, (struct sockaddr *)&at, sizeof at));
    at = nine(n_port(in));
    MUST(sendto(out, "x", 1, 0, (struct sockaddr *)&at, sizeof at));
    char byte;
    MUST(recvfrom(in, &byte, 1, 0, (struct sockaddr *)&from, &size));
    SAY("datagram from %s", inet_ntoa(from.sin_addr));
    MUST(connect(out, (struct sockaddr *)&at, sizeof at));
    show("connected", getsockname, out);
    close(in);
    close(out);
}

static void streams(bool bound) {
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0)), out = MUST(socket(AF_INET, SOCK_STREAM, 0));
    struct sockaddr_in at = nine(0), own = nine(0);
    MUST(bind(listener, (struct sockaddr *)&at, sizeof at));
    MUST(listen(listener, 1));
    at = nine(n_port(listener));
    if (bound) {
        MUST(bind(out, (struct sockaddr *)&own, sizeof own));
    }
    MUST(connect(out, (struct sockaddr *)&at, sizeof at));
    int in = MUST(accept(listener, NULL, NULL));
    show("stream's own", getsockname, out);
    show("its peer's peer", getpeername, in);
    show("its peer", getsockname, in);
    close(in);
    close(out);
    close(listener);
}

int main(void) {
    datagrams();
    streams(false);
    streams(true);
    return 0;
}

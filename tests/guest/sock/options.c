/* Socket options: defaults, what is read back, sizes, and the ones that are not there. */
#include "net.h"

static void get(const char *what, int fd, int level, int option) {
    int value = -77;
    socklen_t size = sizeof value;
    if (getsockopt(fd, level, option, &value, &size)) {
        SAY("%s: %s", what, t_error(errno));
    } else {
        SAY("%s: %d size %d", what, value, (int)size);
    }
}

static void set(const char *what, int fd, int level, int option, int value) {
    int result = setsockopt(fd, level, option, &value, sizeof value);
    SAY("%s := %d: %s", what, value, result ? t_error(errno) : "ok");
    get(what, fd, level, option);
}

#define SET(level, option, value) set(#option, fd, level, option, value)
#define GET(level, option) get(#option, fd, level, option)

int main(void) {
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    GET(SOL_SOCKET, SO_TYPE);
    GET(SOL_SOCKET, SO_DOMAIN);
    GET(SOL_SOCKET, SO_PROTOCOL);
    GET(SOL_SOCKET, SO_ACCEPTCONN);
    GET(SOL_SOCKET, SO_ERROR);
    SET(SOL_SOCKET, SO_REUSEADDR, 1);
    SET(SOL_SOCKET, SO_REUSEPORT, 1);
    SET(SOL_SOCKET, SO_KEEPALIVE, 1);
    SET(SOL_SOCKET, SO_BROADCAST, 5);
    SET(SOL_SOCKET, SO_SNDBUF, 20000);
    SET(SOL_SOCKET, SO_RCVBUF, 30000);
    SET(SOL_SOCKET, SO_RCVBUF, 1);
    SET(SOL_SOCKET, SO_OOBINLINE, 1);
    SET(SOL_SOCKET, SO_PRIORITY, 3);
    SET(SOL_SOCKET, SO_RCVLOWAT, 10);
    SET(SOL_SOCKET, 9999, 1);
    SET(IPPROTO_TCP, TCP_NODELAY, 1);
    SET(IPPROTO_TCP, TCP_KEEPIDLE, 100);
    SET(IPPROTO_TCP, TCP_KEEPINTVL, 10);
    SET(IPPROTO_TCP, TCP_KEEPCNT, 4);
    SET(IPPROTO_TCP, TCP_KEEPIDLE, 0);
    SET(IPPROTO_TCP, TCP_KEEPCNT, 1000);
    SET(IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
    SET(IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
    SET(IPPROTO_TCP, TCP_QUICKACK, 1);
    SET(IPPROTO_TCP, TCP_CORK, 1);
    SET(IPPROTO_TCP, TCP_SYNCNT, 3);
    SET(IPPROTO_TCP, TCP_LINGER2, 5);
    SET(IPPROTO_TCP, 9999, 1);
    SET(IPPROTO_IP, IP_TOS, 16);
    SET(IPPROTO_IP, IP_TTL, 33);
    SET(IPPROTO_IP, IP_TTL, 300);
    SET(77, 1, 1);
    struct linger linger = {9, 9};
    CALL(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &(socklen_t){sizeof linger}));
    SAY("%d %d", linger.l_onoff, linger.l_linger);
    struct timeval limit = {3, 500000}, got;
    CALL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    CALL(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &(socklen_t){sizeof got}));
    SAY("%d", (int)got.tv_sec);
    limit.tv_usec = 1000000;
    CALL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    CALL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &limit, 2));
    CALL(getsockopt(fd, SOL_SOCKET, SO_TYPE, &got, &(socklen_t){1}));
    CALL(getsockopt(99, SOL_SOCKET, SO_TYPE, &got, &(socklen_t){4}));
    char name[16] = {0};
    CALL(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
    CALL(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "none", 4));
    CALL(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &(socklen_t){16}));
    IS(name[0] != 0);
    struct tcp_info info;
    CALL(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof info}));
    NUM(info.tcpi_state);
    MUST(n_bind(fd, 0));
    MUST(listen(fd, 1));
    GET(SOL_SOCKET, SO_ACCEPTCONN);
    return 0;
}

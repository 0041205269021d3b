/* IPv6 on loopback, mapped addresses, IPV6_V6ONLY. */
#include "net.h"

int main(void) {
    int listener = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    CALL(bind(listener, (struct sockaddr *)&any, sizeof any));
    CALL(listen(listener, 4));
    struct sockaddr_in6 own;
    socklen_t size = sizeof own;
    CALL(getsockname(listener, (struct sockaddr *)&own, &size));
    NUM(size);
    int port = ntohs(own.sin6_port);
    int six = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    struct sockaddr_in6 loop = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    loop.sin6_addr = in6addr_loopback;
    CALL(connect(six, (struct sockaddr *)&loop, sizeof loop));
    struct sockaddr_in6 peer;
    char name[64];
    size = sizeof peer;
    int server = MUST(accept(listener, (struct sockaddr *)&peer, &size));
    SAY("%s", inet_ntop(AF_INET6, &peer.sin6_addr, name, sizeof name));
    CALL(write(six, "over six", 8));
    char text[16] = {0};
    CALL(read(server, text, 16));
    SAY("%s", text);
    int four = MUST(socket(AF_INET, SOCK_STREAM, 0));
    CALL(n_connect(four, port));
    size = sizeof peer;
    server = MUST(accept(listener, (struct sockaddr *)&peer, &size));
    SAY("%s", inet_ntop(AF_INET6, &peer.sin6_addr, name, sizeof name));
    int only = MUST(socket(AF_INET6, SOCK_STREAM, 0)), on = 1;
    CALL(setsockopt(only, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
    any.sin6_port = 0;
    CALL(bind(only, (struct sockaddr *)&any, sizeof any));
    CALL(listen(only, 1));
    size = sizeof own;
    getsockname(only, (struct sockaddr *)&own, &size);
    int refused = MUST(socket(AF_INET, SOCK_STREAM, 0));
    CALL(n_connect(refused, ntohs(own.sin6_port)));
    int dgram = MUST(socket(AF_INET6, SOCK_DGRAM, 0)), other = MUST(socket(AF_INET6, SOCK_DGRAM, 0));
    loop.sin6_port = 0;
    CALL(bind(dgram, (struct sockaddr *)&loop, sizeof loop));
    size = sizeof own;
    getsockname(dgram, (struct sockaddr *)&own, &size);
    CALL(sendto(other, "datagram", 8, 0, (struct sockaddr *)&own, sizeof own));
    memset(text, 0, 16);
    CALL(recv(dgram, text, 16, 0));
    SAY("%s", text);
    CALL(bind(dgram, (struct sockaddr *)&any, 10));
    return 0;
}

/* UDP: datagram borders, truncation, connected sockets, refused ports, empty datagrams. */
#include "net.h"

int main(void) {
    int a = MUST(socket(AF_INET, SOCK_DGRAM, 0)), b = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(n_bind(a, 0));
    struct sockaddr_in to = n_loopback(n_port(a)), from;
    socklen_t size = sizeof from;
    char text[64] = {0};
    CALL(recv(a, text, 10, MSG_DONTWAIT));
    CALL(sendto(b, "first", 5, 0, (struct sockaddr *)&to, sizeof to));
    CALL(sendto(b, "second one", 10, 0, (struct sockaddr *)&to, sizeof to));
    CALL(sendto(b, NULL, 0, 0, (struct sockaddr *)&to, sizeof to));
    CALL(recvfrom(a, text, 64, 0, (struct sockaddr *)&from, &size));
    SAY("%s %d", text, (int)size);
    IS(ntohs(from.sin_port) == n_port(b));
    CALL(recv(a, text, 3, MSG_TRUNC));
    CALL(recv(a, text, 64, 0));
    CALL(send(b, "x", 1, 0));
    CALL(connect(b, (struct sockaddr *)&to, sizeof to));
    CALL(send(b, "connected", 9, 0));
    struct iovec part = {text, 4};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    CALL(recvmsg(a, &message, 0));
    IS(message.msg_flags & MSG_TRUNC);
    int c = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(n_bind(c, 0));
    struct sockaddr_in stranger = n_loopback(n_port(b));
    CALL(sendto(c, "stranger", 8, 0, (struct sockaddr *)&stranger, sizeof stranger));
    CALL(recv(b, text, 64, MSG_DONTWAIT));
    static char big[70000];
    CALL(sendto(c, big, 65507, 0, (struct sockaddr *)&to, sizeof to));
    CALL(recv(a, big, sizeof big, 0));
    CALL(sendto(c, big, 65508, 0, (struct sockaddr *)&to, sizeof to));
    CALL(close(a));
    CALL(send(b, "nobody", 6, 0));
    IS(n_await(b, POLLIN) & POLLERR);
    CALL(recv(b, text, 64, MSG_DONTWAIT));
    CALL(recv(b, text, 64, MSG_DONTWAIT));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    CALL(connect(b, &none, sizeof none));
    CALL(send(b, "x", 1, 0));
    CALL(listen(c, 1));
    CALL(accept(c, NULL, NULL));
    return 0;
}

/* connect, bind, listen and accept with everything wrong. */
#include "net.h"

int main(void) {
    int listener = n_listener();
    int port = n_port(listener);
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    CALL(n_bind(fd, port));
    CALL(bind(fd, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, 3));
    struct sockaddr_in odd = n_loopback(0);
    odd.sin_family = 77;
    CALL(bind(fd, (struct sockaddr *)&odd, sizeof odd));
    CALL(connect(fd, (struct sockaddr *)&odd, sizeof odd));
    odd.sin_family = AF_INET;
    odd.sin_addr.s_addr = inet_addr("203.0.113.7");
    CALL(bind(fd, (struct sockaddr *)&odd, sizeof odd));
    CALL(accept(fd, NULL, NULL));
    CALL(send(fd, "x", 1, MSG_NOSIGNAL));
    CALL(recv(fd, &odd, 1, 0));
    CALL(shutdown(fd, SHUT_RDWR));
    CALL(getpeername(fd, (struct sockaddr *)&odd, &(socklen_t){sizeof odd}));
    CALL(n_connect(fd, port));
    CALL(n_connect(fd, port));
    CALL(listen(fd, 5));
    CALL(n_connect(listener, port));
    CALL(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    CALL(socket(AF_INET, 99, 0));
    CALL(socket(99, SOCK_STREAM, 0));
    CALL(socket(AF_INET, SOCK_STREAM | 0x100000, 0));
    OK(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
    int other = MUST(socket(AF_INET, SOCK_STREAM, 0));
    CALL(close(listener));
    CALL(n_connect(other, port));
    CALL(n_bind(other, 0));
    int bound = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(n_bind(bound, 0));
    CALL(n_bind(bound, 0));
    CALL(n_connect(other, n_port(bound)));
    CALL(bind(bound, BAD_POINTER, 16));
    CALL(connect(other, BAD_POINTER, 16));
    CALL(accept4(bound, NULL, NULL, 0x77));
    return 0;
}

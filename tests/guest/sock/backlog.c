/* A full backlog, connections that die before they are accepted, closing a listener. */
#include "net.h"

int main(void) {
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(n_bind(listener, 0));
    MUST(listen(listener, 4));
    int port = n_port(listener), fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = MUST(socket(AF_INET, SOCK_STREAM, 0));
        CALL(n_connect(fds[i], port));
    }
    CALL(write(fds[1], "early", 5));
    CALL(close(fds[0]));
    char text[8] = {0};
    int first = MUST(accept(listener, NULL, NULL));
    CALL(read(first, text, 8));
    int second = MUST(accept(listener, NULL, NULL));
    CALL(read(second, text, 8));
    SAY("%s", text);
    CALL(close(listener));
    IS(n_await(fds[2], POLLIN) & (POLLHUP | POLLERR));
    CALL(read(fds[2], text, 8));
    IS(n_await(fds[1], POLLOUT) == POLLOUT);
    return 0;
}

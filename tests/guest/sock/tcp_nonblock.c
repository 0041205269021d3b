/* Non-blocking connect, accept, read and write; results by SO_ERROR and poll. */
#include "net.h"

int main(void) {
    int listener = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    MUST(n_bind(listener, 0));
    MUST(listen(listener, 8));
    CALL(accept(listener, NULL, NULL));
    int client = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    CALL(fcntl(client, F_GETFL));
    CALL(fcntl(client, F_GETFD));
    int result = n_connect(client, n_port(listener));
    IS(result == 0 || errno == EINPROGRESS);
    IS(n_await(client, POLLOUT) & POLLOUT);
    int error = 99;
    CALL(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){4}));
    NUM(error);
    IS(n_await(listener, POLLIN) == POLLIN);
    int server = MUST(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
    CALL(fcntl(server, F_GETFL));
    char text[1000];
    CALL(read(server, text, sizeof text));
    CALL(recv(client, text, sizeof text, 0));
    long total = 0;
    ssize_t got;
    while ((got = write(client, text, sizeof text)) > 0) {
        total += got;
    }
    SAY("%s", t_error(errno));
    IS(total > 100000);
    struct pollfd p = {client, POLLOUT, 0};
    CALL(poll(&p, 1, 0));
    long taken = 0;
    while (taken < total) {
        if (n_await(server, POLLIN) < 0 || (got = read(server, text, sizeof text)) <= 0) {
            break;
        }
        taken += got;
    }
    IS(taken == total);
    IS(n_await(client, POLLOUT) == POLLOUT);
    close(listener);
    int refused = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    int port = n_port(server);
    close(server);
    close(client);
    result = n_connect(refused, port);
    if (result == -1 && errno == EINPROGRESS) {
        n_await(refused, POLLOUT);
        getsockopt(refused, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){4});
        SAY("%s", t_error(error));
    } else {
        SAY("%s", t_error(errno));
    }
    return 0;
}

/* SO_REUSEADDR and SO_REUSEPORT: who may bind what beside whom. */
#include "net.h"

static int bound(int reuse_address, int reuse_port, int port, int listening) {
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse_address, 4);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &reuse_port, 4);
    int result = n_bind(fd, port);
    if (!result && listening) {
        result = listen(fd, 4);
    }
    SAY("address %d port %d listening %d: %s", reuse_address, reuse_port, listening,
        result ? t_error(errno) : "ok");
    return fd;
}

int main(void) {
    int first = bound(0, 0, 0, 0);
    int port = n_port(first);
    close(bound(0, 0, port, 0));
    close(bound(1, 0, port, 0));
    close(first);
    first = bound(1, 0, port, 0);
    int second = bound(1, 0, port, 0);
    CALL(listen(first, 1));
    CALL(listen(second, 1));
    close(second);
    close(bound(1, 0, port, 0));
    close(first);
    first = bound(0, 1, port, 1);
    second = bound(0, 1, port, 1);
    close(bound(0, 0, port, 0));
    int accepted = 0;
    for (int i = 0; i < 20; i++) {
        int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(n_connect(client, port));
        struct pollfd p[2] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
        poll(p, 2, 10000);
        int server = accept(p[0].revents ? first : second, NULL, NULL);
        accepted += server >= 0;
        close(client);
        close(server);
    }
    NUM(accepted);
    return 0;
}

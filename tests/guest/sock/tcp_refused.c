/* A blocking connect to a closed port is ECONNREFUSED, and the socket can be used again. */
#include "net.h"

int main(void) {
    int listener = n_listener();
    int port = n_port(listener);
    close(listener);
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    CALL(n_connect(fd, port));
    int error = 9;
    CALL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){4}));
    NUM(error);
    listener = n_listener();
    CALL(n_connect(fd, n_port(listener)));
    CALL(write(fd, "ok", 2));
    int server = MUST(accept(listener, NULL, NULL));
    char text[4] = {0};
    CALL(read(server, text, 4));
    SAY("%s", text);
    return 0;
}

/* A TCP connection on loopback: names of both ends, data both ways, orderly end. */
#include "net.h"

int main(void) {
    int listener = n_listener();
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    CALL(n_connect(client, n_port(listener)));
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int server = MUST(accept(listener, (struct sockaddr *)&peer, &size));
    NUM(size);
    IS(ntohs(peer.sin_port) == n_port(client));
    SAY("%s", inet_ntoa(peer.sin_addr));
    size = sizeof peer;
    CALL(getpeername(client, (struct sockaddr *)&peer, &size));
    IS(ntohs(peer.sin_port) == n_port(listener));
    char text[64] = {0};
    CALL(write(client, "to server", 9));
    CALL(read(server, text, sizeof text));
    SAY("%s", text);
    CALL(send(server, "back", 4, 0));
    memset(text, 0, sizeof text);
    CALL(recv(client, text, sizeof text, 0));
    SAY("%s", text);
    CALL(close(client));
    CALL(read(server, text, 1));
    CALL(n_await(server, POLLIN | POLLRDHUP));
    CALL(close(server));
    return 0;
}

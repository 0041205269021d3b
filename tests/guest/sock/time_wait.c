/* A server that closed first can be started again on its port with SO_REUSEADDR. */
#include "net.h"

int main(void) {
    int listener = n_listener();
    int port = n_port(listener);
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(n_connect(client, port));
    int server = MUST(accept(listener, NULL, NULL));
    char c;
    close(server);
    CALL(read(client, &c, 1));
    close(client);
    close(listener);
    t_pause_ms(20);
    int again = MUST(socket(AF_INET, SOCK_STREAM, 0));
    CALL(n_bind(again, port));
    int on = 1;
    MUST(setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    CALL(n_bind(again, port));
    CALL(listen(again, 1));
    return 0;
}

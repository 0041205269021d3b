/* Several threads accept from one listener: each connection goes to exactly one. */
#include <pthread.h>
#include "net.h"

enum { count = 100 };
static int listener, accepted;

static void *server(void *unused) {
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            return unused;
        }
        char c;
        if (read(fd, &c, 1) == 1) {
            __atomic_fetch_add(&accepted, 1, __ATOMIC_SEQ_CST);
            write(fd, &c, 1);
        }
        close(fd);
    }
}

int main(void) {
    listener = n_listener();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, server, NULL);
    }
    int echoed = 0;
    for (int i = 0; i < count; i++) {
        int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(n_connect(fd, n_port(listener)));
        char c = i, back = 0;
        write(fd, &c, 1);
        echoed += read(fd, &back, 1) == 1 && back == c;
        close(fd);
    }
    NUM(echoed);
    NUM(accepted);
    shutdown(listener, SHUT_RDWR);
    for (int i = 0; i < 4; i++) {
        RC(pthread_join(threads[i], NULL));
    }
    return 0;
}

/* Small requests and answers on loopback do not wait for delayed acknowledgements. */
#include <pthread.h>
#include "net.h"

static int s[2];

static void *echo(void *unused) {
    char c[2];
    while (recv(s[1], c, 2, MSG_WAITALL) == 2) {
        write(s[1], c, 1);
        write(s[1], c + 1, 1);
    }
    return unused;
}

int main(void) {
    int on = 1;
    n_pair(s);
    setsockopt(s[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(s[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pthread_t thread;
    pthread_create(&thread, NULL, echo, NULL);
    int64_t begun = t_now_ns();
    int wrong = 0;
    for (int i = 0; i < 100; i++) {
        char c[2] = {i, i + 1}, back[2];
        write(s[0], c, 1);
        write(s[0], c + 1, 1);
        wrong += recv(s[0], back, 2, MSG_WAITALL) != 2 || memcmp(c, back, 2);
    }
    NUM(wrong);
    IS(t_now_ns() - begun < 3000000000);
    shutdown(s[0], SHUT_WR);
    RC(pthread_join(thread, NULL));
    return 0;
}

/* MSG_PEEK, MSG_DONTWAIT, MSG_WAITALL, MSG_TRUNC, MSG_MORE and FIONREAD. */
#include <pthread.h>
#include <sys/ioctl.h>
#include "net.h"

static int s[2];

static void *late(void *unused) {
    for (int i = 0; i < 3; i++) {
        t_pause_ms(10);
        write(s[0], "ab", 2);
    }
    return unused;
}

int main(void) {
    char text[32] = {0};
    n_pair(s);
    CALL(recv(s[1], text, 10, MSG_DONTWAIT));
    MUST(write(s[0], "peekaboo", 8));
    IS(n_await(s[1], POLLIN) == POLLIN);
    CALL(recv(s[1], text, 4, MSG_PEEK));
    CALL(recv(s[1], text, 10, MSG_PEEK));
    SAY("%s", text);
    int waiting = 0;
    CALL(ioctl(s[1], FIONREAD, &waiting));
    NUM(waiting);
    CALL(recv(s[1], NULL, 4, MSG_TRUNC));
    memset(text, 0, 32);
    CALL(recv(s[1], text, 10, 0));
    SAY("%s", text);
    pthread_t thread;
    pthread_create(&thread, NULL, late, NULL);
    memset(text, 0, 32);
    CALL(recv(s[1], text, 6, MSG_WAITALL));
    SAY("%s", text);
    pthread_join(thread, NULL);
    CALL(send(s[0], "one", 3, MSG_MORE));
    CALL(send(s[0], "two", 3, 0));
    memset(text, 0, 32);
    CALL(recv(s[1], text, 6, MSG_WAITALL));
    SAY("%s", text);
    CALL(send(s[0], "end", 3, 0));
    shutdown(s[0], SHUT_WR);
    CALL(recv(s[1], text, 10, MSG_WAITALL));
    CALL(recv(s[1], text, 10, MSG_OOB));
    int on = 1;
    CALL(ioctl(s[1], FIONBIO, &on));
    CALL(fcntl(s[1], F_GETFL));
    return 0;
}

/* shutdown of a socket wakes a thread that reads from it or accepts on it. */
#include <pthread.h>
#include "net.h"

static int s[2], listener;

static void *reading(void *unused) {
    char c;
    (void)unused;
    return (void *)read(s[0], &c, 1);
}

static void *accepting(void *unused) {
    (void)unused;
    return accept(listener, NULL, NULL) == -1 ? (void *)t_error(errno) : "accepted";
}

int main(void) {
    pthread_t thread;
    void *result;
    n_pair(s);
    pthread_create(&thread, NULL, reading, NULL);
    t_pause_ms(30);
    CALL(shutdown(s[0], SHUT_RDWR));
    pthread_join(thread, &result);
    SAY("read: %ld", (long)result);
    listener = n_listener();
    pthread_create(&thread, NULL, accepting, NULL);
    t_pause_ms(30);
    CALL(shutdown(listener, SHUT_RDWR));
    pthread_join(thread, &result);
    SAY("accept: %s", (char *)result);
    return 0;
}

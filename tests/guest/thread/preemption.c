/* Threads that never call the kernel share the processor and are taken off it. */
#include <pthread.h>
#include "t.h"

static volatile int stop;
static volatile long rounds[3];

static void *work(void *argument) {
    long own = (long)argument;
    while (!stop) {
        rounds[own]++;
    }
    return NULL;
}

int main(void) {
    pthread_t threads[3];
    for (long i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    int64_t begun = t_now_ns();
    while (!rounds[0] || !rounds[1] || !rounds[2]) {
        t_pause_ms(5);
    }
    long first = rounds[0];
    while (rounds[0] == first) {
        t_pause_ms(5);
    }
    stop = 1;
    for (int i = 0; i < 3; i++) {
        RC(pthread_join(threads[i], NULL));
    }
    IS(t_now_ns() - begun < 20000000000);
    return 0;
}

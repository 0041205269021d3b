/* A counter behind a mutex under contention is exact. */
#include <pthread.h>
#include "t.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *work(void *unused) {
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        long seen = counter;
        if (i % 500 == 0) {
            sched_yield();
        }
        counter = seen + 1;
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(counter);
    return 0;
}

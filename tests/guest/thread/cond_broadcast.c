/* A broadcast wakes every waiter. */
#include <pthread.h>
#include "t.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int waiting, go, woken;

static void *work(void *unused) {
    pthread_mutex_lock(&mutex);
    waiting++;
    while (!go) {
        pthread_cond_wait(&cond, &mutex);
    }
    woken++;
    pthread_mutex_unlock(&mutex);
    return unused;
}

int main(void) {
    for (int round = 0; round < 20; round++) {
        pthread_t threads[10];
        go = waiting = 0;
        for (int i = 0; i < 10; i++) {
            pthread_create(&threads[i], NULL, work, NULL);
        }
        for (;;) {
            pthread_mutex_lock(&mutex);
            int all = waiting == 10;
            if (all) {
                go = 1;
                pthread_cond_broadcast(&cond);
            }
            pthread_mutex_unlock(&mutex);
            if (all) {
                break;
            }
            sched_yield();
        }
        for (int i = 0; i < 10; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    NUM(woken);
    return 0;
}

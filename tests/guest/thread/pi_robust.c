/* Robust mutexes that inherit priority: the next owner hears of a dead one, may repair and go on, or
 * leave the mutex unusable; with waiters and without.
 */
#include <pthread.h>
#include "t.h"

static pthread_mutex_t mutex;
static pthread_barrier_t together;

static void make(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    RC(pthread_mutex_init(&mutex, &attributes));
}

static void *die_with_it(void *unused) {
    pthread_mutex_lock(&mutex);
    pthread_barrier_wait(&together);
    t_pause_ms(50);
    return unused;
}

static void *wait_for_it(void *unused) {
    (void)unused;
    int result = pthread_mutex_lock(&mutex);
    if (result == EOWNERDEAD) {
        pthread_mutex_consistent(&mutex);
    }
    pthread_mutex_unlock(&mutex);
    return (void *)(long)result;
}

int main(void) {
    pthread_t threads[4];
    make();
    pthread_barrier_init(&together, NULL, 2);
    pthread_create(&threads[0], NULL, die_with_it, NULL);
    pthread_barrier_wait(&together);
    long dead = 0, well = 0;
    for (int i = 1; i < 4; i++) {
        pthread_create(&threads[i], NULL, wait_for_it, NULL);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        dead += result == (void *)EOWNERDEAD;
        well += i > 0 && result == NULL;
    }
    NUM(dead);
    NUM(well);
    pthread_create(&threads[0], NULL, die_with_it, NULL);
    pthread_barrier_wait(&together);
    pthread_join(threads[0], NULL);
    RC(pthread_mutex_trylock(&mutex));
    RC(pthread_mutex_unlock(&mutex));
    RC(pthread_mutex_lock(&mutex));
    RC(pthread_mutex_trylock(&mutex));
    make();
    RC(pthread_mutex_lock(&mutex));
    RC(pthread_mutex_unlock(&mutex));
    return 0;
}

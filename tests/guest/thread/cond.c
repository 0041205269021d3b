/* Condition variables: a bounded queue between producers and consumers; timed waits end in time. */
#include <pthread.h>
#include "t.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static int queue[8], used, head, made;
static long sum;

static void *producer(void *unused) {
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        while (used == 8) {
            pthread_cond_wait(&not_full, &mutex);
        }
        queue[(head + used++) % 8] = ++made;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static void *consumer(void *unused) {
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        while (used == 0) {
            pthread_cond_wait(&not_empty, &mutex);
        }
        sum += queue[head];
        head = (head + 1) % 8;
        used--;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

int main(void) {
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) {
        pthread_create(&threads[i], NULL, i % 2 ? producer : consumer, NULL);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(sum);
    NUM(used);
    struct timespec until;
    int64_t begun = t_now_ns();
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 40000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&mutex);
    RC(pthread_cond_timedwait(&not_empty, &mutex, &until));
    IS(t_now_ns() - begun >= 35000000);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    RC(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    pthread_cond_t monotonic;
    pthread_cond_init(&monotonic, &attributes);
    clock_gettime(CLOCK_MONOTONIC, &until);
    RC(pthread_cond_timedwait(&monotonic, &mutex, &until));
    return 0;
}

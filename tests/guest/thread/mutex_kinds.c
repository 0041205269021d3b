/* Normal, recursive and error-checking mutexes, trylock, timed lock. */
#include <pthread.h>
#include "t.h"

static pthread_mutex_t mutex;

static void *try_it(void *unused) {
    RC(pthread_mutex_trylock(&mutex));
    RC(pthread_mutex_unlock(&mutex));
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 30000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    RC(pthread_mutex_timedlock(&mutex, &until));
    return unused;
}

int main(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_t thread;
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&mutex, &attributes);
    RC(pthread_mutex_lock(&mutex));
    RC(pthread_mutex_lock(&mutex));
    pthread_create(&thread, NULL, try_it, NULL);
    pthread_join(thread, NULL);
    RC(pthread_mutex_unlock(&mutex));
    RC(pthread_mutex_unlock(&mutex));
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &attributes);
    RC(pthread_mutex_lock(&mutex));
    RC(pthread_mutex_lock(&mutex));
    RC(pthread_mutex_unlock(&mutex));
    pthread_create(&thread, NULL, try_it, NULL);
    pthread_join(thread, NULL);
    RC(pthread_mutex_unlock(&mutex));
    RC(pthread_mutex_trylock(&mutex));
    return 0;
}

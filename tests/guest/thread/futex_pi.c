/* Priority-inheriting mutexes: exclusion, trylock, dead owners, errors of the raw call. */
#include <linux/futex.h>
#include <pthread.h>
#include "t.h"

static pthread_mutex_t mutex;
static long counter;

static void *work(void *unused) {
    for (int i = 0; i < 3000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        if (i % 100 == 0) {
            sched_yield();
        }
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

int main(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    RC(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT));
    RC(pthread_mutex_init(&mutex, &attributes));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(counter);
    int word = 0;
    CALL(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    IS(word == gettid());
    CALL(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    CALL(syscall(SYS_futex, &word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    CALL(syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    NUM(word);
    word = gettid() + 1000000;
    CALL(syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    CALL(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    return 0;
}

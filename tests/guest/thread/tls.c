/* Thread-local variables and keys with destructors. */
#include <pthread.h>
#include "t.h"

static __thread int own = 5;
static __thread char block[20000];
static pthread_key_t key;
static int destroyed;

static void destroy(void *value) {
    __atomic_fetch_add(&destroyed, *(int *)value, __ATOMIC_SEQ_CST);
    free(value);
}

static void *work(void *argument) {
    long wrong = own != 5 || block[19999] != 0;
    own = (long)argument;
    block[19999] = 1;
    int *value = malloc(sizeof *value);
    *value = 1;
    pthread_setspecific(key, value);
    sched_yield();
    wrong += own != (long)argument;
    return (void *)wrong;
}

int main(void) {
    pthread_t threads[8];
    long wrong = 0;
    RC(pthread_key_create(&key, destroy));
    for (long i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (long)result;
    }
    NUM(wrong);
    NUM(destroyed);
    NUM(own);
    return 0;
}

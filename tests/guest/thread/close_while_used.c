/* Descriptors opened and closed by many threads: none gets another's, the table stays sound. */
#include <pthread.h>
#include "t.h"

static long wrong;

static void *work(void *argument) {
    long own = (long)argument;
    for (int i = 0; i < 2000; i++) {
        int ends[2];
        char c = own, back = 0;
        if (pipe(ends) || write(ends[1], &c, 1) != 1 || read(ends[0], &back, 1) != 1 || back != c) {
            __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
        }
        int copy = dup(ends[0]);
        if (copy < 0 || close(copy) || close(ends[0]) || close(ends[1])) {
            __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
        }
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(wrong);
    CALL(dup(0));
    return 0;
}

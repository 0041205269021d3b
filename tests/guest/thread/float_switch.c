/* Floating point and vector registers survive switches between threads. */
#include <pthread.h>
#include "t.h"

static long wrong;

static void *work(void *argument) {
    long own = (long)argument;
    double sum = 0;
    uint64_t mark[2] = {own * 0x0101010101010101ul, ~own}, now[2];
    __asm__ volatile("movdqu (%0), %%xmm13" ::"r"(mark) : "xmm13");
    for (long i = 0; i < 2000000; i++) {
        sum += own * 0.5;
        if (i % 1000 == 0) {
            __asm__ volatile("movdqu %%xmm13, (%0)" ::"r"(now) : "memory");
            if (memcmp(mark, now, 16)) {
                __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
            }
        }
    }
    if (sum != own * 1000000.0) {
        __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(wrong);
    return 0;
}

/* All vector registers, upper halves included, survive preemption, waits and system calls of threads
 * that each have other values in them; also where there are none but SSE's.
 * @cpu max max,avx=off qemu64
 */
#include <pthread.h>
#include "vector.h"

static long wrong;
static volatile int ended;

/* With uppers in use, and without any between: both ways of saving follow each other. */
static void *work(void *argument) {
    long own = (long)argument;
    struct vectors mark, now;
    v_fill(&mark, own * 29);
    for (int round = 0; round < 300; round++) {
        long spins = round % 3 ? 2000 : 200000;
        long number = round % 3 == 1 ? SYS_sched_yield : SYS_getpid;
        V_AROUND(&mark, &now, "1: dec %[n]\n jnz 1b\n mov %[nr], %%rax\n syscall\n", ,
                 [n] "r"(spins), [nr] "r"(number));
        wrong += memcmp(&mark, &now, sizeof now) != 0;
    }
    __atomic_fetch_add(&ended, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

int main(void) {
    pthread_t threads[5];
    for (long i = 0; i < 5; i++) {
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    }
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(ended);
    NUM(wrong);
    return 0;
}

/* futex requeue, compare-and-requeue, wake-op, and bit sets that select waiters. */
#include <linux/futex.h>
#include <pthread.h>
#include "t.h"

static int a, b, ready, woken_by_bit[2];

static long futex(int *at, int op, long value, long value2, int *other, long value3) {
    return syscall(SYS_futex, at, op, value, value2, other, value3);
}

static void *waiter(void *unused) {
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    futex(&a, FUTEX_WAIT, 0, 0, NULL, 0);
    return unused;
}

static void *picky(void *which) {
    long bit = (long)which;
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    futex(&a, FUTEX_WAIT_BITSET, 0, 0, NULL, 1 << bit);
    woken_by_bit[bit] = 1;
    return NULL;
}

static void await(int count) {
    while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < count) {
        sched_yield();
    }
    t_pause_ms(50);
}

int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, waiter, NULL);
    }
    await(4);
    CALL(futex(&a, FUTEX_CMP_REQUEUE, 1, 2, &b, 5));
    CALL(futex(&a, FUTEX_CMP_REQUEUE, 1, 2, &b, 0));
    CALL(futex(&a, FUTEX_WAKE, 10, 0, NULL, 0));
    CALL(futex(&b, FUTEX_WAKE, 10, 0, NULL, 0));
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    ready = 0;
    for (long i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, picky, (void *)i);
    }
    await(2);
    CALL(futex(&a, FUTEX_WAKE_BITSET, 10, 0, NULL, 4));
    CALL(futex(&a, FUTEX_WAKE_BITSET, 10, 0, NULL, 2));
    pthread_join(threads[1], NULL);
    SAY("%d %d", woken_by_bit[0], woken_by_bit[1]);
    CALL(futex(&b, FUTEX_WAKE_OP, 1, 1, &a, FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 0)));
    NUM(a);
    pthread_join(threads[0], NULL);
    return 0;
}

/* futex: wrong value, time-outs relative and absolute, waking none, one and all. */
#include <linux/futex.h>
#include <pthread.h>
#include "t.h"

static int word, entered, left;

static long futex(int *at, int op, int value, void *timeout, int *other, int value3) {
    return syscall(SYS_futex, at, op, value, timeout, other, value3);
}

static void *waiter(void *unused) {
    __atomic_fetch_add(&entered, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&word, __ATOMIC_SEQ_CST)) {
        futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    __atomic_fetch_add(&left, 1, __ATOMIC_SEQ_CST);
    return unused;
}

int main(void) {
    struct timespec brief = {0, 30000000}, bad = {0, 1000000000};
    CALL(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    int64_t begun = t_now_ns();
    CALL(futex(&word, FUTEX_WAIT, 0, &brief, NULL, 0));
    IS(t_now_ns() - begun >= 30000000);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    CALL(futex(&word, FUTEX_WAIT_BITSET, 0, &until, NULL, FUTEX_BITSET_MATCH_ANY));
    clock_gettime(CLOCK_REALTIME, &until);
    CALL(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &until, NULL, 1));
    CALL(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
    CALL(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    CALL(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0));
    CALL(futex((int *)((char *)&word + 1), FUTEX_WAIT, 0, &brief, NULL, 0));
    CALL(futex(&word, 99, 0, NULL, NULL, 0));
    CALL(futex(BAD_POINTER, FUTEX_WAIT, 0, NULL, NULL, 0));
    CALL(futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0));
    CALL(futex(&word, FUTEX_WAKE, -1, NULL, NULL, 0));
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) {
        pthread_create(&threads[i], NULL, waiter, NULL);
    }
    while (__atomic_load_n(&entered, __ATOMIC_SEQ_CST) < 6) {
        sched_yield();
    }
    t_pause_ms(30);
    CALL(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    CALL(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0) >= 1);
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(left);
    return 0;
}

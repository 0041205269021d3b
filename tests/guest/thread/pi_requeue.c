/* Waiting on one word and waking with a lock that knows its owner (FUTEX_WAIT_REQUEUE_PI,
 * FUTEX_CMP_REQUEUE_PI): each waiter returns as the owner, one after the other; errors of the calls.
 */
#include <linux/futex.h>
#include <pthread.h>
#include "t.h"

enum { count = 4 };
static int condition, lock, asleep, inside, most_inside;

static long futex(int *word, int operation, long value, void *more, int *word2, int value3) {
    return syscall(SYS_futex, word, operation, value, more, word2, value3);
}

static void *work(void *unused) {
    __atomic_fetch_add(&asleep, 1, __ATOMIC_SEQ_CST);
    long result;
    do {
        result = futex(&condition, FUTEX_WAIT_REQUEUE_PI, 7, NULL, &lock, 0);
    } while (result == -1 && errno == EAGAIN && condition == 7);
    if (result != 0 || (lock & FUTEX_TID_MASK) != gettid()) {
        SAY("wrong: %ld", result);
    }
    int now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    most_inside = now > most_inside ? now : most_inside;
    t_pause_ms(5);
    __atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
    futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return unused;
}

int main(void) {
    condition = 7;
    pthread_t threads[count];
    for (int i = 0; i < count; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    while (asleep < count) {
        t_pause_ms(1);
    }
    t_pause_ms(100);
    CALL(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    CALL(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, &lock, 8));
    CALL(futex(&condition, FUTEX_CMP_REQUEUE_PI, 2, (void *)100, &lock, 7));
    CALL(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, &asleep, 7));
    CALL(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, &condition, 7));
    CALL(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, &lock, 7));
    CALL(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, &lock, 7));
    CALL(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(most_inside);
    NUM(lock);
    CALL(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 8, NULL, &lock, 0));
    CALL(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 7, NULL, &condition, 0));
    struct timespec past = {0, 1};
    CALL(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 7, &past, &lock, 0));
    return 0;
}

/* Locks of the kernel that know their owner: a circle of waiters is refused to whoever would close it,
 * over any number of threads; a circle that a time-out opens again is none; a chain is none.
 */
#include <linux/futex.h>
#include <pthread.h>
#include "t.h"

enum { count = 5 };
static int words[count];
static volatile int holding, waiting[count];
static volatile pid_t tids[count];
static int results[count];

static long futex(int *word, int operation, struct timespec *until) {
    return syscall(SYS_futex, word, operation, 0, until, NULL, 0);
}

/* Sleeping in futex: in state S with the system call on. */
static void await_sleep(int i) {
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tids[i]);
    while (!waiting[i]) {
        sched_yield();
    }
    do {
        FILE *stat = fopen(path, "r");
        if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1) {
            state = 0;
        }
        fclose(stat);
        t_pause_ms(5);
    } while (state != 'S');
}

/* Holds lock i, then wants lock i + 1. */
static void *work(void *argument) {
    long i = (long)argument;
    tids[i] = gettid();
    futex(&words[i], FUTEX_LOCK_PI, NULL);
    __atomic_fetch_add(&holding, 1, __ATOMIC_SEQ_CST);
    while (holding < count) {
        sched_yield();
    }
    if (i > 0) {
        await_sleep(i - 1);
    }
    t_pause_ms(20);
    waiting[i] = 1;
    errno = 0;
    results[i] = futex(&words[(i + 1) % count], FUTEX_LOCK_PI, NULL) == 0 ? 0 : errno;
    if (results[i] == 0) {
        futex(&words[(i + 1) % count], FUTEX_UNLOCK_PI, NULL);
    }
    futex(&words[i], FUTEX_UNLOCK_PI, NULL);
    return NULL;
}

static void *hold_until_told(void *argument) {
    int *told = argument;
    futex(&words[0], FUTEX_LOCK_PI, NULL);
    holding = 1;
    while (!*(volatile int *)told) {
        t_pause_ms(1);
    }
    futex(&words[0], FUTEX_UNLOCK_PI, NULL);
    return NULL;
}

int main(void) {
    pthread_t threads[count];
    for (long i = 0; i < count; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < count; i++) {
        SAY("%d: %s, word %x", i, t_error(results[i]), words[i]);
    }
    int told = 0;
    holding = 0;
    pthread_create(&threads[0], NULL, hold_until_told, &told);
    while (!holding) {
        t_pause_ms(1);
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 30000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    CALL(futex(&words[0], FUTEX_LOCK_PI, &until));
    CALL(futex(&words[0], FUTEX_TRYLOCK_PI, NULL));
    CALL(futex(&words[0], FUTEX_UNLOCK_PI, NULL));
    told = 1;
    pthread_join(threads[0], NULL);
    CALL(futex(&words[0], FUTEX_TRYLOCK_PI, NULL));
    CALL(futex(&words[0], FUTEX_LOCK_PI, NULL));
    CALL(futex(&words[0], FUTEX_UNLOCK_PI, NULL));
    return 0;
}

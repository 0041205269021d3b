/*
 * Threads that come and go: joined with what they return, detached, cancelled while they wait, and
 * ended in the middle. Each has storage of its own that starts from its template.
 */
#include <semaphore.h>
#include "torture.h"

static __thread long own = 4711;
static __thread char wide[3000] = {1, 2, 3};
static pthread_key_t key;
static atomic_long detached_begun, detached_ended, destructors, keyed, cleaned, cancelled;

static void *returns(void *argument) {
    volatile char stack[8192];
    CHECK(own == 4711 && wide[0] == 1 && wide[2] == 3 && wide[2999] == 0);
    own = (long)argument;
    memset((char *)stack, (int)own, sizeof stack);
    memset(wide, (int)own, sizeof wide);
    sched_yield();
    CHECK(own == (long)argument && stack[0] == (char)own && stack[8191] == (char)own);
    CHECK(wide[1500] == (char)own);
    return (void *)(own * 3);
}

static void joiner(int self) {
    pthread_t made[6];
    long base = self * 1000 + chance(100);
    for (long i = 0; i < COUNT_OF(made); i++) {
        made[i] = start_thread(returns, (void *)(base + i));
    }
    for (long i = 0; i < COUNT_OF(made); i++) {
        void *result = NULL;
        CHECK(pthread_join(made[i], &result) == 0);
        CHECK((long)result == (base + i) * 3);
    }
}

static void *goes_alone(void *argument) {
    sem_t *taken = argument;
    CHECK(pthread_detach(pthread_self()) == 0);
    keyed++;
    pthread_setspecific(key, (void *)1);
    sem_post(taken);
    detached_ended++;
    pthread_exit(NULL);
}

/* No more than a few at once: a thread counts as gone only when it has told. */
static void detacher(int self) {
    static sem_t taken[4];
    sem_init(&taken[self], 0, 0);
    detached_begun++;
    start_thread(goes_alone, &taken[self]);
    while (sem_wait(&taken[self]) == -1) {
    }
}

static void cleanup(void *argument) {
    (void)argument;
    cleaned++;
}

static void *waits(void *argument) {
    sem_t *ready = argument;
    pthread_cleanup_push(cleanup, NULL);
    sem_post(ready);
    for (;;) {
        struct timespec second = {1, 0};
        nanosleep(&second, NULL);
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void canceller(int self) {
    static sem_t ready[4];
    sem_init(&ready[self], 0, 0);
    pthread_t made = start_thread(waits, &ready[self]);
    while (sem_wait(&ready[self]) == -1) {
    }
    if (chance(2)) {
        sched_yield();
    }
    void *result = NULL;
    CHECK(pthread_cancel(made) == 0);
    CHECK(pthread_join(made, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
    cancelled++;
}

static void destroyed(void *argument) {
    (void)argument;
    destructors++;
}

int main(int argc, char **argv) {
    static struct crew crews[] = {
        {"joiners", 3, joiner, 0}, {"detachers", 2, detacher, 0}, {"cancellers", 2, canceller, 0}};
    int seconds = read_arguments(argc, argv);
    MUST(-pthread_key_create(&key, destroyed));
    run_crews(crews, COUNT_OF(crews), seconds, NULL);
    /* The last of the detached ones may still be on their way out. */
    for (int waited = 0; waited < 1000 && destructors != keyed; waited++) {
        t_pause_ms(10);
    }
    CHECK(detached_begun == detached_ended);
    CHECK(destructors == keyed);
    CHECK(cleaned == cancelled);
    return conclude(crews, COUNT_OF(crews));
}

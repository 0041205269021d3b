/*
 * Locks, conditions, semaphores and barriers as programs use them: what they guard stays whole, what
 * is handed on arrives once, and a wait with a limit ends when it should.
 */
#include <semaphore.h>
#include "torture.h"

enum { LOCKERS = 4, KINDS = 4, ROOM = 8 };

/* --- locks of each kind, with a counter that only they guard --- */

static pthread_mutex_t locks[KINDS];
static long guarded[KINDS];
static long tallies[LOCKERS][KINDS];

static void make_locks(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes,
                                  kind == 1 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_ERRORCHECK);
        pthread_mutexattr_setprotocol(&attributes,
                                      kind == 2 ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE);
        pthread_mutexattr_setpshared(&attributes, kind == 3);
        pthread_mutex_init(&locks[kind], &attributes);
    }
}

static bool take(pthread_mutex_t *lock) {
    if (chance(4) == 0) {
        struct timespec limit;
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_nsec += 500000;
        limit.tv_sec += limit.tv_nsec / 1000000000;
        limit.tv_nsec %= 1000000000;
        int error = pthread_mutex_timedlock(lock, &limit);
        CHECK(error == 0 || error == ETIMEDOUT);
        return error == 0;
    }
    return CHECK(pthread_mutex_lock(lock) == 0);
}

static void locker(int self) {
    int kind = chance(KINDS);
    if (take(&locks[kind])) {
        long seen = guarded[kind];
        if (chance(8) == 0) {
            sched_yield();
        }
        guarded[kind] = seen + 1;
        CHECK(pthread_mutex_unlock(&locks[kind]) == 0);
        tallies[self][kind]++;
    }
}

static void check_locks(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        long sum = 0;
        for (int self = 0; self < LOCKERS; self++) {
            sum += tallies[self][kind];
        }
        CHECK(sum == guarded[kind]);
    }
}

/* --- a queue with room for a few --- */

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static long queue[ROOM], queued, put_sum, taken_sum;

static void producer(int self) {
    long item = chance(1000) + self;
    pthread_mutex_lock(&queue_lock);
    while (queued == ROOM && !over) {
        pthread_cond_wait(&not_full, &queue_lock);
    }
    if (queued < ROOM) {
        queue[queued++] = item;
        put_sum += item;
        chance(2) ? pthread_cond_signal(&not_empty) : pthread_cond_broadcast(&not_empty);
    }
    pthread_mutex_unlock(&queue_lock);
}

static void consumer(int self) {
    (void)self;
    pthread_mutex_lock(&queue_lock);
    while (queued == 0 && !over) {
        pthread_cond_wait(&not_empty, &queue_lock);
    }
    if (queued > 0) {
        taken_sum += queue[--queued];
        pthread_cond_signal(&not_full);
    }
    pthread_mutex_unlock(&queue_lock);
}

static void check_queue(void) {
    while (queued > 0) {
        taken_sum += queue[--queued];
    }
    CHECK(put_sum == taken_sum);
}

/* --- a ball between two, by semaphores; waits that nobody ends --- */

static sem_t turns[2];
static long ball;

static void player(int self) {
    while (sem_wait(&turns[self]) == -1) {
    }
    if (!over) {
        CHECK(ball % 2 == self);
        ball++;
    }
    sem_post(&turns[1 - self]);
}

static void patient(int self) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    (void)self;
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += 100000 + chance(2000000);
    limit.tv_sec += limit.tv_nsec / 1000000000;
    limit.tv_nsec %= 1000000000;
    pthread_mutex_lock(&lock);
    CHECK(pthread_cond_timedwait(&never, &lock, &limit) == ETIMEDOUT);
    pthread_mutex_unlock(&lock);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    CHECK(now.tv_sec > limit.tv_sec ||
          (now.tv_sec == limit.tv_sec && now.tv_nsec >= limit.tv_nsec));
}

/* --- readers and writers --- */

static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static volatile long twins[2];

static void reader_or_writer(int self) {
    if (self == 0) {
        pthread_rwlock_wrlock(&shared);
        twins[0]++;
        sched_yield();
        twins[1]++;
        pthread_rwlock_unlock(&shared);
    } else {
        pthread_rwlock_rdlock(&shared);
        CHECK(twins[0] == twins[1]);
        pthread_rwlock_unlock(&shared);
    }
}

/* --- a lock whose owner dies --- */

static pthread_mutex_t inherited;

static void *dies_with_it(void *argument) {
    int error = pthread_mutex_lock(&inherited);
    if (error == EOWNERDEAD) {
        pthread_mutex_consistent(&inherited);
    }
    CHECK(error == 0 || error == EOWNERDEAD);
    return argument;
}

static void heir(int self) {
    (void)self;
    pthread_join(start_thread(dies_with_it, NULL), NULL);
    int error = pthread_mutex_lock(&inherited);
    CHECK(error == EOWNERDEAD);
    if (error == EOWNERDEAD) {
        CHECK(pthread_mutex_consistent(&inherited) == 0);
    }
    CHECK(pthread_mutex_unlock(&inherited) == 0);
}

static void make_inherited(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&inherited, &attributes);
}

static void wake_all(void) {
    pthread_mutex_lock(&queue_lock);
    pthread_cond_broadcast(&not_empty);
    pthread_cond_broadcast(&not_full);
    pthread_mutex_unlock(&queue_lock);
    sem_post(&turns[0]);
    sem_post(&turns[1]);
}

int main(int argc, char **argv) {
    static struct crew crews[] = {
        {"lockers", LOCKERS, locker, 0}, {"producers", 2, producer, 0},
        {"consumers", 2, consumer, 0},   {"players", 2, player, 0},
        {"patient", 2, patient, 0},      {"readers and a writer", 3, reader_or_writer, 0},
        {"heirs", 1, heir, 0}};
    int seconds = read_arguments(argc, argv);
    make_locks();
    make_inherited();
    sem_init(&turns[0], 0, 1);
    sem_init(&turns[1], 0, 0);
    run_crews(crews, COUNT_OF(crews), seconds, wake_all);
    check_locks();
    check_queue();
    return conclude(crews, COUNT_OF(crews));
}

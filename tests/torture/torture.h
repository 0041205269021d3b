/*
 * What a torture program is made of: crews of threads that work until a time is up and check what
 * they see. The same program runs on Linux, which must find nothing wrong either.
 *
 *   PROGRAM SECONDS [MEGABYTES]
 *
 * On stdout: a line for each of the first findings, then "wrong: N". On stderr: how much was done.
 * The status is 0 when nothing was wrong and every crew got something done.
 */
#ifndef KILN_TORTURE_H
#define KILN_TORTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include "t.h"

enum { MOST_WORKERS = 32, MOST_CREWS = 8, FINDINGS_SHOWN = 10 };

static atomic_bool over;
static atomic_long wrong;
static long megabytes;

static inline void found_wrong(const char *file, int line, const char *what) {
    if (atomic_fetch_add(&wrong, 1) < FINDINGS_SHOWN) {
        SAY("%s:%d: not so: %s", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, what);
    }
}

/* Something that has to hold; what it says, so that a caller can give up. */
#define CHECK(expr)                                      \
    ({                                                   \
        bool holds_ = (expr);                            \
        if (!holds_) {                                   \
            found_wrong(__FILE__, __LINE__, #expr);      \
        }                                                \
        holds_;                                          \
    })

/* Threads that do the same. `work` does one round; `self` is its number in the crew. */
struct crew {
    const char *name;
    int size;
    void (*work)(int self);
    atomic_long rounds;
};

struct worker {
    struct crew *crew;
    int self;
};

static __thread uint64_t chance_state;

/* xorshift64*, seeded by who asks: the same on every run, but for how threads interleave. */
static inline uint32_t chance(uint32_t below) {
    chance_state ^= chance_state >> 12;
    chance_state ^= chance_state << 25;
    chance_state ^= chance_state >> 27;
    return (uint32_t)((chance_state * 2685821657736338717ull) >> 32) % below;
}

static inline void seed_chance(uint64_t seed) { chance_state = seed * 0x9e3779b97f4a7c15ull | 1; }

static void *work_until_over(void *argument) {
    struct worker *me = argument;
    seed_chance(((uint64_t)(uintptr_t)me->crew->work << 8) + (uint64_t)me->self + 1);
    while (!over) {
        me->crew->work(me->self);
        me->crew->rounds++;
    }
    return NULL;
}

static inline void sleep_until_ns(int64_t end) {
    struct timespec at = {end / 1000000000, end % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

/* A little of stack is enough for each, and takes little of a small guest. */
static inline pthread_t start_thread(void *(*body)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_t made;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    int error = pthread_create(&made, &attributes, body, argument);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        SAY("stop: pthread_create: %s", t_error(error));
        exit(99);
    }
    return made;
}

/* All crews until the time is up; `wake`, if any, brings out those who wait then. */
static inline void run_crews(struct crew *crews, int kinds, int seconds, void (*wake)(void)) {
    static struct worker workers[MOST_WORKERS];
    pthread_t threads[MOST_WORKERS];
    int count = 0;
    int64_t end = t_now_ns() + seconds * 1000000000ll;
    for (int kind = 0; kind < kinds; kind++) {
        for (int self = 0; self < crews[kind].size; self++, count++) {
            workers[count] = (struct worker){&crews[kind], self};
            threads[count] = start_thread(work_until_over, &workers[count]);
        }
    }
    sleep_until_ns(end);
    over = true;
    if (wake) {
        wake();
    }
    while (count-- > 0) {
        pthread_join(threads[count], NULL);
    }
}

static inline int conclude(struct crew *crews, int kinds) {
    bool idle = false;
    for (int kind = 0; kind < kinds; kind++) {
        fprintf(stderr, "%s: %ld rounds\n", crews[kind].name, atomic_load(&crews[kind].rounds));
        if (crews[kind].rounds == 0) {
            SAY("%s got nothing done", crews[kind].name);
            idle = true;
        }
    }
    SAY("wrong: %ld", atomic_load(&wrong));
    return wrong != 0 || idle;
}

/* SECONDS, and sets `megabytes`. */
static inline int read_arguments(int argc, char **argv) {
    megabytes = argc > 2 ? atol(argv[2]) : 64;
    int seconds = argc > 1 ? atoi(argv[1]) : 0;
    if (seconds <= 0 || megabytes <= 0) {
        fprintf(stderr, "usage: %s SECONDS [MEGABYTES]\n", argv[0]);
        exit(2);
    }
    return seconds;
}

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

#endif

/*
 * Pages that all threads have read as zeros, and so may still see as such, are written by all of them, each
 * its own word, and then told of: who has been told must find what was written, and nothing may be lost.
 */
#include <pthread.h>
#include <stdatomic.h>
#include "t.h"

enum { THREADS = 6, PAGES = 768, ROUNDS = 40, PAGE = 4096 };

static volatile long *region;
static atomic_int told[PAGES][THREADS];
static pthread_barrier_t barrier;
static atomic_long stale, lost, not_zero;

static volatile long *at(int page, int thread) {
    return region + (size_t)page * PAGE / sizeof(long) + thread;
}

static long value(int page, int thread, int round) { return page * 1000 + thread * 100 + round; }

static void look(int page, int thread, int round) {
    if (atomic_load_explicit(&told[page][thread], memory_order_acquire) == round &&
        *at(page, thread) != value(page, thread, round)) {
        stale++;
    }
}

static void one_round(int self, int round) {
    for (int page = 0; page < PAGES; page++) {
        not_zero += *at(page, self) != 0;
    }
    pthread_barrier_wait(&barrier);
    for (int page = 0; page < PAGES; page++) {
        *at(page, self) = value(page, self, round);
        atomic_store_explicit(&told[page][self], round, memory_order_release);
        for (int back = 0; back < 8 * THREADS; back++) {
            look((page + PAGES + 4 - back / THREADS) % PAGES, back % THREADS, round);
        }
    }
    pthread_barrier_wait(&barrier);
    for (int page = 0; page < PAGES; page++) {
        lost += *at(page, self) != value(page, self, round);
    }
}

static void *work(void *argument) {
    for (int round = 1; round <= ROUNDS; round++) {
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            if (region) {
                MUST(munmap((void *)region, PAGES * PAGE));
            }
            region = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        }
        pthread_barrier_wait(&barrier);
        one_round((int)(long)argument, round);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (long i = 0; i < THREADS; i++) {
        MUST(-pthread_create(&threads[i], NULL, work, (void *)i));
    }
    for (int i = 0; i < THREADS; i++) {
        MUST(-pthread_join(threads[i], NULL));
    }
    NUM(atomic_load(&not_zero));
    NUM(atomic_load(&stale));
    NUM(atomic_load(&lost));
    return 0;
}

/*
 * What a read of a periodic timer counts is what has passed until then, not until its last interrupt,
 * which another CPU may be late to take.
 * @smp 2
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include "t.h"

enum { THREADS = 4, READS = 1500, INTERVAL = 20000 };

static atomic_long too_few, too_many;

static void *work(void *argument) {
    int fd = MUST(timerfd_create(CLOCK_MONOTONIC, 0));
    struct itimerspec each = {{0, INTERVAL}, {0, INTERVAL}};
    int64_t begun = t_now_ns();
    MUST(timerfd_settime(fd, 0, &each, NULL));
    int64_t set = t_now_ns();
    long total = 0;
    for (int i = 0; i < READS; i++) {
        uint64_t count = 0;
        int64_t before = t_now_ns();
        MUST(read(fd, &count, sizeof count));
        total += (long)count;
        too_few += total < (before - set) / INTERVAL;
        too_many += total > (t_now_ns() - begun) / INTERVAL;
        sched_yield();
    }
    close(fd);
    return argument;
}

int main(void) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        MUST(-pthread_create(&threads[i], NULL, work, NULL));
    }
    for (int i = 0; i < THREADS; i++) {
        MUST(-pthread_join(threads[i], NULL));
    }
    NUM(atomic_load(&too_few));
    NUM(atomic_load(&too_many));
    return 0;
}

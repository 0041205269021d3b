/* @realtime
 * @smp 2 */
/* Two real-time threads and two ordinary ones that never sleep on two CPUs: each real-time thread has
 * a CPU, though both begin on the same one; and whoever may no longer run on its CPU leaves it. */
#include <pthread.h>
#include <sched.h>
#include "t.h"

static volatile int stop;
static cpu_set_t all;

static void allow(pthread_t thread, int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    RC(pthread_setaffinity_np(thread, sizeof one, &one));
}

static void *spin(void *priority) {
    struct sched_param parameter = {*(int *)priority};
    MUST(sched_setscheduler(0, parameter.sched_priority ? SCHED_FIFO : SCHED_OTHER, &parameter));
    while (!stop) {
    }
    return NULL;
}

static int64_t cpu_time_of(pthread_t thread) {
    clockid_t clock;
    struct timespec time;
    pthread_getcpuclockid(thread, &clock);
    MUST(clock_gettime(clock, &time));
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void two_of_four(void) {
    int priorities[4] = {0, 0, 10, 20};
    struct sched_param watching = {30};
    pthread_t threads[4];
    MUST(sched_setscheduler(0, SCHED_FIFO, &watching));
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, spin, &priorities[i]);
    }
    t_pause_ms(100);
    allow(threads[2], 1);
    allow(threads[3], 1);
    t_pause_ms(50);
    int64_t before[4];
    MUST(pthread_setaffinity_np(threads[2], sizeof all, &all));
    MUST(pthread_setaffinity_np(threads[3], sizeof all, &all));
    t_pause_ms(100);
    for (int i = 0; i < 4; i++) {
        before[i] = cpu_time_of(threads[i]);
    }
    int64_t begun = t_now_ns();
    t_pause_ms(300);
    int64_t lasted = t_now_ns() - begun;
    for (int i = 0; i < 4; i++) {
        int percent = (cpu_time_of(threads[i]) - before[i]) * 100 / lasted;
        SAY("%d: %s", priorities[i], percent > 60 ? "most of a CPU" : percent > 10 ? "some" : "little");
    }
    stop = 1;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    watching.sched_priority = 0;
    MUST(sched_setscheduler(0, SCHED_OTHER, &watching));
    stop = 0;
}

static volatile int seen;

static void *look_where(void *unused) {
    while (!stop) {
        seen = sched_getcpu();
    }
    return unused;
}

static void forbidden(void) {
    pthread_t thread;
    for (int cpu = 0; cpu < 2; cpu++) {
        allow(pthread_self(), cpu);
        IS(sched_getcpu() == cpu);
    }
    pthread_create(&thread, NULL, look_where, NULL);
    for (int cpu = 0; cpu < 2; cpu++) {
        allow(thread, cpu);
        while (seen != cpu) {
            t_pause_ms(1);
        }
    }
    stop = 1;
    RC(pthread_join(thread, NULL));
}

int main(void) {
    MUST(sched_getaffinity(0, sizeof all, &all));
    two_of_four();
    forbidden();
    return 0;
}

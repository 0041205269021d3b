/* Threads share a CPU by their nice values and policies, and one who ran alone keeps his share. */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include "t.h"

#define MS 1000000ll

static volatile int stop;

struct spinner {
    pthread_t thread;
    int policy, nice;
    clockid_t clock;
    int64_t before;
};

static void *spin(void *argument) {
    struct spinner *self = argument;
    struct sched_param none = {0};
    if (self->policy != SCHED_OTHER) {
        MUST(sched_setscheduler(0, self->policy, &none));
    }
    MUST(setpriority(PRIO_PROCESS, gettid(), self->nice));
    while (!stop) {
    }
    return NULL;
}

static void start(struct spinner *spinner) {
    stop = 0;
    pthread_create(&spinner->thread, NULL, spin, spinner);
    pthread_getcpuclockid(spinner->thread, &spinner->clock);
}

static int64_t used(struct spinner *spinner) {
    struct timespec time;
    MUST(clock_gettime(spinner->clock, &time));
    return time.tv_sec * 1000000000ll + time.tv_nsec - spinner->before;
}

/* Lets the two run until they have used so much together; the first one's use in percent of it. */
static int share_of_first(struct spinner *first, struct spinner *second, int64_t together) {
    first->before += used(first);
    second->before += used(second);
    int64_t ours, theirs;
    do {
        t_pause_ms(20);
        ours = used(first);
        theirs = used(second);
    } while (ours + theirs < together);
    return ours * 100 / (ours + theirs);
}

static int share_beside_ordinary(int policy, int nice) {
    struct spinner ordinary = {.policy = SCHED_OTHER}, other = {.policy = policy, .nice = nice};
    start(&ordinary);
    start(&other);
    t_pause_ms(20);
    int share = share_of_first(&other, &ordinary, 800 * MS);
    stop = 1;
    pthread_join(ordinary.thread, NULL);
    pthread_join(other.thread, NULL);
    return share;
}

static int share_of_who_ran_alone(int policy, int nice) {
    struct spinner old = {.policy = policy, .nice = nice}, newcomer = old;
    start(&old);
    t_pause_ms(1500);
    start(&newcomer);
    int share = share_of_first(&old, &newcomer, 600 * MS);
    stop = 1;
    pthread_join(old.thread, NULL);
    pthread_join(newcomer.thread, NULL);
    return share;
}

/* A share is wrong when it is so each time: what a host takes from a virtual CPU counts as the use of
   whoever has it at that moment, and a tenth of a second is more than the least share. */
static int within(int least, int most, int (*share)(int policy, int nice), int policy, int nice) {
    int found = -1;
    for (int attempt = 0; attempt < 3; attempt++) {
        found = share(policy, nice);
        if (found >= least && found <= most) {
            return 1;
        }
    }
    SAY("found %d", found);
    return 0;
}

int main(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    MUST(sched_setaffinity(0, sizeof one, &one));
    /* Whoever watches must get the CPU in time. */
    MUST(setpriority(PRIO_PROCESS, 0, -20));
    IS(within(30, 70, share_of_who_ran_alone, SCHED_OTHER, 0));
    IS(within(38, 62, share_beside_ordinary, SCHED_OTHER, 0));
    IS(within(15, 36, share_beside_ordinary, SCHED_OTHER, 5));
    IS(within(64, 85, share_beside_ordinary, SCHED_OTHER, -5));
    IS(within(0, 9, share_beside_ordinary, SCHED_OTHER, 19));
    IS(within(38, 62, share_beside_ordinary, SCHED_BATCH, 0));
    IS(within(0, 7, share_beside_ordinary, SCHED_IDLE, 0));
    return 0;
}

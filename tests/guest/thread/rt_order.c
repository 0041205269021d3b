/* @realtime */
/* Real-time threads on one CPU: before ordinary ones, by priority, equals in order of arrival; who is
 * woken takes the CPU at once; a yield lets equals run; round robin takes turns. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include "t.h"

#define MS 1000000ll

static sem_t gate;
static char order[32];
static atomic_int placed;

static void become(int policy, int priority) {
    struct sched_param parameter = {priority};
    MUST(sched_setscheduler(0, policy, &parameter));
}

static void note(char name) { order[placed++] = name; }

static void show(const char *what) {
    SAY("%s: %.*s", what, placed, order);
    placed = 0;
}

static void work_ms(int ms) {
    for (int64_t end = t_now_ns() + ms * MS; t_now_ns() < end;) {
    }
}

struct worker {
    int policy, priority;
    char name;
    int rounds, yields, ms;
    pthread_t thread;
};

static void *wait_and_work(void *argument) {
    struct worker *self = argument;
    become(self->policy, self->priority);
    sem_wait(&gate);
    for (int i = 0; i < self->rounds; i++) {
        note(self->name);
        work_ms(self->ms);
        if (self->yields) {
            sched_yield();
        }
    }
    return NULL;
}

/* Starts them, each waiting at the gate, and wakes them while above them all. Each starts with that
 * priority too: of equals the last goes first, since who is lowered goes before its new equals. */
static void run(const char *what, struct worker *workers, int count) {
    become(SCHED_FIFO, 50);
    for (int i = 0; i < count; i++) {
        pthread_create(&workers[i].thread, NULL, wait_and_work, &workers[i]);
    }
    become(SCHED_OTHER, 0);
    t_pause_ms(100); /* they all come to the gate */
    become(SCHED_FIFO, 50);
    for (int i = 0; i < count; i++) {
        sem_post(&gate);
    }
    note('!');
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    show(what);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static int wanted;

static void *take_over(void *unused) {
    pthread_mutex_lock(&lock);
    while (!wanted) {
        pthread_cond_wait(&more, &lock);
    }
    pthread_mutex_unlock(&lock);
    note('T');
    return unused;
}

/* The woken one is there before the waker's next step, if it is the more urgent. */
static void wake_up(const char *what, int priority_of_woken) {
    pthread_t thread;
    wanted = 0;
    become(SCHED_FIFO, priority_of_woken);
    pthread_create(&thread, NULL, take_over, NULL);
    become(SCHED_OTHER, 0);
    t_pause_ms(50);
    become(SCHED_FIFO, 20);
    note('a');
    pthread_mutex_lock(&lock);
    wanted = 1;
    pthread_mutex_unlock(&lock);
    pthread_cond_signal(&more);
    note('b');
    pthread_join(thread, NULL);
    show(what);
}

static void *wait_here(void *unused) {
    sem_wait(&gate);
    note('w');
    return unused;
}

/* A change of priority acts at once, on others and on oneself. */
static void change_priorities(void) {
    struct sched_param parameter = {10};
    pthread_t thread;
    become(SCHED_FIFO, 20);
    pthread_create(&thread, NULL, wait_here, NULL);
    MUST(pthread_setschedparam(thread, SCHED_FIFO, &parameter));
    sem_post(&gate);
    note('1');
    parameter.sched_priority = 30;
    MUST(pthread_setschedparam(thread, SCHED_FIFO, &parameter));
    note('2');
    pthread_join(thread, NULL);
    show("raised while ready");
    pthread_create(&thread, NULL, wait_here, NULL);
    parameter.sched_priority = 15;
    MUST(pthread_setschedparam(thread, SCHED_FIFO, &parameter));
    sem_post(&gate);
    note('1');
    become(SCHED_FIFO, 5);
    note('2');
    pthread_join(thread, NULL);
    show("running thread lowered");
}

int main(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    MUST(sched_setaffinity(0, sizeof one, &one));
    IS(sched_getcpu() == 0);
    sem_init(&gate, 0, 0);
    run("by priority", (struct worker[]){{SCHED_FIFO, 10, 'a', 1}, {SCHED_FIFO, 30, 'c', 1},
                                         {SCHED_RR, 20, 'b', 1}}, 3);
    run("equals in order", (struct worker[]){{SCHED_FIFO, 10, 'a', 1, 0, 5},
                                             {SCHED_FIFO, 10, 'b', 1, 0, 5},
                                             {SCHED_FIFO, 10, 'c', 1, 0, 5}}, 3);
    run("before ordinary ones", (struct worker[]){{SCHED_OTHER, 0, 'o', 1, 0, 1},
                                                  {SCHED_FIFO, 1, 'r', 3, 0, 5}}, 2);
    run("first in, first out", (struct worker[]){{SCHED_FIFO, 10, 'a', 3, 0, 20},
                                                 {SCHED_FIFO, 10, 'b', 3, 0, 20}}, 2);
    run("yields to equals", (struct worker[]){{SCHED_FIFO, 10, 'a', 3, 1},
                                              {SCHED_FIFO, 10, 'b', 3, 1},
                                              {SCHED_FIFO, 9, 'c', 3, 1}}, 3);
    run("takes turns", (struct worker[]){{SCHED_RR, 10, 'a', 3, 0, 80},
                                         {SCHED_RR, 10, 'b', 3, 0, 80}}, 2);
    wake_up("more urgent woken", 30);
    wake_up("equal woken", 20);
    wake_up("less urgent woken", 10);
    change_priorities();
    return 0;
}

/* @realtime */
/* Who holds a lock that knows its owner runs as its most urgent waiter, over several locks too, and
 * gives that back; waiters are woken by priority; such a lock is no plain futex. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/resource.h>
#include "t.h"

static int words[3];
static sem_t told, done;

static long futex(int *word, int operation, long value, void *timeout) {
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

static void lock(int i) { MUST(futex(&words[i], FUTEX_LOCK_PI, 0, NULL)); }
static void unlock(int i) { MUST(futex(&words[i], FUTEX_UNLOCK_PI, 0, NULL)); }

struct actor {
    int policy, priority;
    int holds, wants;   /* numbers of locks, or -1 */
    long timeout_ms;    /* for the lock it wants; 0: none */
    char name;
    volatile pid_t tid;
    sem_t go;
    pthread_t thread;
};

static char order[16];
static int placed;

/* Takes one lock, then waits for another, or until told to go on; gives both back. */
static void *act(void *argument) {
    struct actor *self = argument;
    struct sched_param parameter = {self->priority};
    MUST(sched_setscheduler(0, self->policy, &parameter));
    if (self->holds >= 0) {
        lock(self->holds);
    }
    self->tid = gettid();
    sem_post(&told);
    long got = 0;
    if (self->wants >= 0 && self->timeout_ms) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += self->timeout_ms / 1000;
        until.tv_nsec += self->timeout_ms % 1000 * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        got = futex(&words[self->wants], FUTEX_LOCK_PI, 0, &until);
    } else if (self->wants >= 0) {
        lock(self->wants);
        order[placed++] = self->name;
    } else {
        sem_wait(&self->go);
    }
    if (self->wants >= 0 && got == 0) {
        unlock(self->wants);
    }
    if (self->holds >= 0) {
        unlock(self->holds);
    }
    sem_post(&done);
    sem_wait(&self->go);
    return NULL;
}

/* Fields 3 and 18 of stat: state and priority. */
static long stat_of(struct actor *actor, char *state) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", actor->tid);
    int fd = MUST(open(path, O_RDONLY));
    text[MUST(read(fd, text, sizeof text - 1))] = 0;
    close(fd);
    char *at = strrchr(text, ')') + 1;
    *state = at[1];
    for (int field = 3; field <= 18; field++) {
        at = strchr(at, ' ') + 1;
    }
    return strtol(at, NULL, 10);
}

static void start(struct actor *actor) {
    char state;
    sem_init(&actor->go, 0, 0);
    pthread_create(&actor->thread, NULL, act, actor);
    sem_wait(&told);
    do {
        t_pause_ms(20);
        stat_of(actor, &state);
    } while (state != 'S');
}

static void show(const char *what, struct actor *actor) {
    char state;
    SAY("%s: %c has %ld", what, actor->name, stat_of(actor, &state));
}

static void tell(struct actor *actor) { sem_post(&actor->go); }

/* Until each of so many has given back its locks. */
static void await(int count) {
    while (count-- > 0) {
        sem_wait(&done);
    }
}

static void end(struct actor *actor) {
    tell(actor);
    pthread_join(actor->thread, NULL);
}

static void one_lock(void) {
    struct actor low = {SCHED_FIFO, 10, 0, -1, .name = 'l'},
                 middle = {SCHED_RR, 20, -1, 0, .name = 'm'},
                 high = {SCHED_FIFO, 30, -1, 0, .name = 'h'},
                 other = {SCHED_OTHER, 0, -1, 0, .name = 'o'};
    start(&low);
    show("alone", &low);
    start(&other);
    show("ordinary one waits", &low);
    start(&middle);
    show("more urgent one waits", &low);
    start(&high);
    show("most urgent one waits", &low);
    show("most urgent one waits", &middle);
    tell(&low);
    await(4);
    show("given back", &low);
    show("given back", &high);
    SAY("order %.*s", placed, order);
    placed = 0;
    end(&low), end(&middle), end(&high), end(&other);
}

static void chain(void) {
    struct actor first = {SCHED_OTHER, 0, 0, -1, .name = '1'},
                 second = {SCHED_FIFO, 6, 1, 0, .name = '2'},
                 third = {SCHED_BATCH, 0, 2, 1, .name = '3'},
                 brief = {SCHED_FIFO, 40, -1, 2, .timeout_ms = 400, .name = 'b'};
    struct sched_param parameter = {33};
    start(&first);
    start(&second);
    start(&third);
    show("chain", &first);
    start(&brief);
    show("end waits", &first);
    show("end waits", &second);
    show("end waits", &third);
    await(1);
    show("timed out", &first);
    show("timed out", &second);
    show("timed out", &third);
    MUST(pthread_setschedparam(third.thread, SCHED_FIFO, &parameter));
    show("raised", &first);
    show("raised", &second);
    MUST(setpriority(PRIO_PROCESS, first.tid, 5));
    show("nice", &first);
    parameter.sched_priority = 50;
    MUST(pthread_setschedparam(first.thread, SCHED_RR, &parameter));
    show("own is higher", &first);
    parameter.sched_priority = 0;
    MUST(pthread_setschedparam(first.thread, SCHED_OTHER, &parameter));
    show("own is none", &first);
    tell(&first);
    await(3);
    show("given back", &first);
    show("given back", &second);
    show("given back", &third);
    SAY("order %.*s", placed, order);
    placed = 0;
    end(&first), end(&second), end(&third), end(&brief);
}

static pthread_mutex_t shared;

static void become(int policy, int priority) {
    struct sched_param parameter = {priority};
    MUST(sched_setscheduler(0, policy, &parameter));
}

static void *want_shared(void *unused) {
    become(SCHED_FIFO, 30);
    pthread_mutex_lock(&shared);
    order[placed++] = 'h';
    pthread_mutex_unlock(&shared);
    return unused;
}

static void *spin(void *unused) {
    become(SCHED_FIFO, 20);
    for (int64_t end = t_now_ns() + 100000000; t_now_ns() < end;) {
    }
    order[placed++] = 'm';
    return unused;
}

/* On one CPU: the spinning one in the middle does not keep the most urgent one waiting. */
static void inversion(void) {
    cpu_set_t one;
    pthread_t high, middle;
    pthread_mutexattr_t attributes;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    MUST(sched_setaffinity(0, sizeof one, &one));
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&shared, &attributes);
    become(SCHED_FIFO, 10);
    pthread_mutex_lock(&shared);
    become(SCHED_FIFO, 40);
    pthread_create(&middle, NULL, spin, NULL);
    pthread_create(&high, NULL, want_shared, NULL);
    become(SCHED_FIFO, 10); /* they run; we are as urgent as the one that waits for us */
    order[placed++] = 'l';
    pthread_mutex_unlock(&shared);
    order[placed++] = 'e';
    pthread_join(high, NULL);
    pthread_join(middle, NULL);
    SAY("order %.*s", placed, order);
    placed = 0;
    become(SCHED_OTHER, 0);
}

static int plain;

static void *wait_plainly(void *priority) {
    become(*(int *)priority ? SCHED_FIFO : SCHED_OTHER, *(int *)priority);
    MUST(futex(&plain, FUTEX_WAIT, 0, NULL));
    order[placed++] = '0' + *(int *)priority;
    sem_post(&done);
    return NULL;
}

static void plain_futexes(void) {
    int priorities[] = {1, 0, 3, 2, 0, 3};
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) {
        pthread_create(&threads[i], NULL, wait_plainly, &priorities[i]);
        t_pause_ms(30);
    }
    for (int i = 0; i < 6; i++) {
        CALL(futex(&plain, FUTEX_WAKE, 1, NULL));
        sem_wait(&done);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
    }
    SAY("order %.*s", placed, order);
    placed = 0;
}

static int condition;

static void *wait_for_requeue(void *unused) {
    sem_post(&told);
    syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI | FUTEX_PRIVATE_FLAG, 0, NULL, &words[0], 0);
    unlock(0);
    return unused;
}

static void no_plain_futex(void) {
    struct actor owner = {SCHED_OTHER, 0, 0, -1, .name = 'o'},
                 waiter = {SCHED_OTHER, 0, -1, 0, .name = 'w'};
    pthread_t thread;
    start(&owner);
    CALL(futex(&words[0], FUTEX_WAKE, 1, NULL));
    start(&waiter);
    CALL(futex(&words[0], FUTEX_WAKE, 1, NULL));
    CALL(syscall(SYS_futex, &words[0], FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 1, 1, &plain, 0));
    CALL(syscall(SYS_futex, &words[1], FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
    pthread_create(&thread, NULL, wait_for_requeue, NULL);
    sem_wait(&told);
    t_pause_ms(100);
    CALL(futex(&condition, FUTEX_WAKE, 1, NULL));
    CALL(syscall(SYS_futex, &condition, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 1, 1, &plain, 0));
    CALL(syscall(SYS_futex, &condition, FUTEX_CMP_REQUEUE_PI | FUTEX_PRIVATE_FLAG, 1, 1, &words[0], 0));
    tell(&owner);
    await(2);
    end(&owner), end(&waiter);
    pthread_join(thread, NULL);
    NUM(words[0]);
}

int main(void) {
    sem_init(&told, 0, 0);
    sem_init(&done, 0, 0);
    one_lock();
    chain();
    inversion();
    plain_futexes();
    no_plain_futex();
    return 0;
}

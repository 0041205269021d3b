/* What the calls on scheduling policies accept and refuse, and what they tell afterwards. */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include "t.h"

/* Larger than any kernel's struct sched_attr. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
    uint64_t future[8];
};

#define RESET 1
#define KEEP_POLICY 8
#define KEEP_PARAMS 16
#define NOBODY 4000000

static int set_scheduler(int tid, int policy, int priority) {
    struct sched_param parameter = {priority};
    return sched_setscheduler(tid, policy, &parameter);
}

static int set_param(int tid, int priority) {
    struct sched_param parameter = {priority};
    return sched_setparam(tid, &parameter);
}

static int set_attr(int policy, int priority, int nice, long flags) {
    struct attributes wanted = {
        .size = 48, .policy = policy, .priority = priority, .nice = nice, .flags = flags};
    return syscall(SYS_sched_setattr, 0, &wanted, 0);
}

static int set_deadline(long runtime, long deadline, long period) {
    struct attributes wanted = {.size = 48, .policy = SCHED_DEADLINE, .runtime = runtime,
                                .deadline = deadline, .period = period};
    return syscall(SYS_sched_setattr, 0, &wanted, 0);
}

/* Fields of stat: 18 priority, 19 nice value, 40 real-time priority, 41 policy. */
static void show_stat(void) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", gettid());
    int fd = MUST(open(path, O_RDONLY));
    text[MUST(read(fd, text, sizeof text - 1))] = 0;
    close(fd);
    printf("  stat:");
    char *at = strrchr(text, ')');
    for (int field = 3; field <= 41; field++) {
        at = strchr(at, ' ') + 1;
        if (field == 18 || field == 19 || field >= 40) {
            printf(" %ld", strtol(at, NULL, 10));
        }
    }
    printf("\n");
}

static void show(void) {
    struct attributes found = {0};
    MUST(syscall(SYS_sched_getattr, 0, &found, 48, 0));
    SAY("  policy %u, priority %u, nice %d, flags %lu; scheduler %d", found.policy, found.priority,
        found.nice, (unsigned long)found.flags, sched_getscheduler(0));
    show_stat();
}

static void old_calls(void) {
    CALL(set_scheduler(0, SCHED_FIFO, 0));
    CALL(set_scheduler(0, SCHED_FIFO, 100));
    CALL(set_scheduler(0, SCHED_RR, -1));
    CALL(set_scheduler(0, SCHED_BATCH, 1));
    CALL(set_scheduler(0, 4, 0));
    CALL(set_scheduler(0, 7, 0));
    CALL(set_scheduler(0, SCHED_DEADLINE, 0));
    CALL(set_scheduler(NOBODY, 99, 0));
    CALL(set_scheduler(-1, 99, 0));
    CALL(sched_setscheduler(0, SCHED_OTHER, NULL));
    CALL(sched_setscheduler(0, SCHED_OTHER, BAD_POINTER));
    CALL(sched_setscheduler(NOBODY, SCHED_OTHER, BAD_POINTER));
    CALL(sched_getparam(0, NULL));
    CALL(sched_getparam(NOBODY, BAD_POINTER));
    CALL(sched_getscheduler(-1));
    CALL(sched_getscheduler(NOBODY));
    CALL(set_scheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, 7));
    show();
    CALL(set_param(0, 9));
    show();
    CALL(set_param(0, 0));
    CALL(set_param(0, 100));
    CALL(set_param(-1, 5));
    CALL(set_scheduler(0, SCHED_FIFO, 3));
    show();
    CALL(setpriority(PRIO_PROCESS, 0, 4));
    show();
    CALL(set_scheduler(0, SCHED_OTHER, 0));
    show();
    CALL(set_param(0, 1));
}

static void slices(void) {
    struct timespec slice;
    MUST(set_scheduler(0, SCHED_RR, 1));
    CALL(sched_rr_get_interval(0, &slice));
    SAY("%ld.%09ld s", (long)slice.tv_sec, slice.tv_nsec);
    MUST(set_scheduler(0, SCHED_FIFO, 1));
    CALL(sched_rr_get_interval(0, &slice));
    SAY("%ld.%09ld s", (long)slice.tv_sec, slice.tv_nsec);
    MUST(set_scheduler(0, SCHED_OTHER, 0));
    CALL(sched_rr_get_interval(0, BAD_POINTER));
    CALL(sched_rr_get_interval(-1, &slice));
    CALL(sched_rr_get_interval(NOBODY, &slice));
}

static void attributes(void) {
    CALL(set_attr(SCHED_OTHER, 0, 6, 0));
    show();
    CALL(set_attr(SCHED_BATCH, 0, -300, RESET));
    show();
    CALL(set_attr(SCHED_OTHER, 0, 300, KEEP_POLICY));
    show();
    CALL(set_attr(SCHED_IDLE, 0, 1, KEEP_PARAMS));
    show();
    CALL(set_attr(SCHED_FIFO, 20, 3, 0));
    show();
    CALL(set_attr(SCHED_OTHER, 0, 3, KEEP_PARAMS));
    CALL(set_attr(SCHED_OTHER, 30, 0, KEEP_POLICY | RESET));
    show();
    CALL(set_attr(SCHED_RR, 99, 0, KEEP_POLICY | KEEP_PARAMS));
    show();
    CALL(set_attr(SCHED_OTHER, 1, 0, 0));
    CALL(set_attr(SCHED_RR, 0, 0, 0));
    CALL(set_attr(SCHED_OTHER, 0, 0, 0x1000));
    CALL(set_attr(-1, 0, 0, 0));
    CALL(set_attr(SCHED_OTHER, 0, 0, 0));
    show();
}

static void deadlines(void) {
    CALL(set_deadline(0, 0, 0));
    CALL(set_deadline(1000, 1000000, 0));
    CALL(set_deadline(2000000, 1000000, 3000000));
    CALL(set_deadline(1000000, 3000000, 2000000));
    CALL(set_deadline(10000, 20000, 20000));
    CALL(set_deadline(10000, 20000, 8000000000));
}

static void sizes(void) {
    struct attributes wanted = {.size = 0, .nice = 2};
    CALL(syscall(SYS_sched_setattr, 0, &wanted, 0));
    wanted.size = 47;
    CALL(syscall(SYS_sched_setattr, 0, &wanted, 0));
    NUM(wanted.size);
    wanted.size = 4097;
    CALL(syscall(SYS_sched_setattr, 0, &wanted, 0));
    wanted.size = sizeof wanted;
    CALL(syscall(SYS_sched_setattr, 0, &wanted, 0));
    wanted.future[7] = 1;
    CALL(syscall(SYS_sched_setattr, 0, &wanted, 0));
    NUM(wanted.size);
    CALL(syscall(SYS_sched_setattr, 0, NULL, 0));
    CALL(syscall(SYS_sched_setattr, 0, BAD_POINTER, 0));
    CALL(syscall(SYS_sched_setattr, 0, &wanted, 1));
    CALL(syscall(SYS_sched_setattr, -1, &wanted, 0));
    wanted.size = 48;
    CALL(syscall(SYS_sched_setattr, NOBODY, &wanted, 0));
    memset(&wanted, 0xff, sizeof wanted);
    CALL(syscall(SYS_sched_getattr, 0, &wanted, sizeof wanted, 0));
    NUM(wanted.size);
    IS(wanted.future[0] == 0 && wanted.future[7] == 0);
    CALL(syscall(SYS_sched_getattr, 0, &wanted, 47, 0));
    CALL(syscall(SYS_sched_getattr, 0, &wanted, 4097, 0));
    CALL(syscall(SYS_sched_getattr, 0, &wanted, 48, 1));
    CALL(syscall(SYS_sched_getattr, -1, &wanted, 48, 0));
    CALL(syscall(SYS_sched_getattr, NOBODY, &wanted, 48, 0));
    CALL(syscall(SYS_sched_getattr, 0, BAD_POINTER, 48, 0));
}

static void *tell(void *unused) {
    show();
    return unused;
}

/* The flag turns a real-time thread's children, and those of one with a negative nice value, into
 * ordinary ones without the flag. */
static void children(int policy, int priority, int nice, long flags) {
    pthread_t thread;
    SAY("child of policy %d, priority %d, nice %d, flags %ld:", policy, priority, nice, flags);
    MUST(set_attr(policy, priority, nice, flags));
    pthread_create(&thread, NULL, tell, NULL);
    pthread_join(thread, NULL);
    MUST(set_attr(SCHED_OTHER, 0, 0, 0));
}

static void *wait_for_end(void *gate) {
    pthread_barrier_wait(gate);
    return NULL;
}

/* What pthread_attr_setinheritsched and its kin ask for. */
static void thread_attributes(int inherit, int policy, int priority) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_barrier_t gate;
    struct sched_param parameter = {priority};
    int found = -1;
    pthread_barrier_init(&gate, NULL, 2);
    pthread_attr_init(&attributes);
    RC(pthread_attr_setinheritsched(&attributes, inherit));
    RC(pthread_attr_setschedpolicy(&attributes, policy));
    RC(pthread_attr_setschedparam(&attributes, &parameter));
    RC(pthread_create(&thread, &attributes, wait_for_end, &gate));
    RC(pthread_getschedparam(thread, &found, &parameter));
    SAY("thread with policy %d, priority %d", found, parameter.sched_priority);
    pthread_barrier_wait(&gate);
    pthread_join(thread, NULL);
}

static void without_rights(void) {
    struct rlimit none = {0, 0};
    MUST(setrlimit(RLIMIT_RTPRIO, &none));
    MUST(set_scheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, 10));
    MUST(setresuid(1000, 1000, 1000));
    CALL(set_param(0, 11));
    CALL(set_param(0, 9));
    CALL(set_scheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, 5));
    CALL(set_scheduler(0, SCHED_RR, 5));
    CALL(set_attr(SCHED_OTHER, 0, -1, RESET));
    CALL(set_attr(SCHED_OTHER, 0, 0, RESET));
    CALL(set_scheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, 5));
    CALL(set_deadline(1000000, 2000000, 3000000));
    show();
}

int main(void) {
    old_calls();
    slices();
    attributes();
    deadlines();
    sizes();
    MUST(set_attr(SCHED_OTHER, 0, 0, 0));
    children(SCHED_FIFO, 2, 0, 0);
    children(SCHED_FIFO, 2, 0, RESET);
    children(SCHED_BATCH, 0, -4, RESET);
    children(SCHED_BATCH, 0, 4, RESET);
    thread_attributes(PTHREAD_EXPLICIT_SCHED, SCHED_RR, 12);
    thread_attributes(PTHREAD_INHERIT_SCHED, SCHED_RR, 12);
    thread_attributes(PTHREAD_EXPLICIT_SCHED, SCHED_OTHER, 0);
    without_rights();
    return 0;
}

/* Nice values belong to threads; who may make a thread nicer; groups and users mean all threads. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "t.h"

static sem_t begun, go_on;
static int other;

static void *wait_here(void *unused) {
    other = gettid();
    sem_post(&begun);
    sem_wait(&go_on);
    return unused;
}

/* Fields 18 and 19 of stat: priority and nice value. */
static void show_stat(const char *who) {
    char path[64], text[1024];
    long priority, nice;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", other);
    int fd = MUST(open(path, O_RDONLY));
    text[MUST(read(fd, text, sizeof text - 1))] = 0;
    close(fd);
    char *at = strrchr(text, ')');
    for (int i = 0; i < 16; i++) {
        at = strchr(at + 1, ' ');
    }
    if (sscanf(at, "%ld %ld", &priority, &nice) == 2) {
        SAY("%s: priority %ld, nice %ld", who, priority, nice);
    }
}

static void limits(void) {
    struct rlimit limit = {0, 0};
    struct sched_param parameter = {0};
    CALL(setrlimit(RLIMIT_NICE, &limit));
    CALL(setpriority(PRIO_PROCESS, 0, 10));
    CALL(setresuid(1000, 1000, 1000));
    CALL(setpriority(PRIO_PROCESS, 0, 9));
    CALL(getpriority(PRIO_PROCESS, 0));
    CALL(setpriority(PRIO_PROCESS, 0, 19));
    CALL(setpriority(PRIO_USER, 1000, 18));
    CALL(sched_setscheduler(0, SCHED_BATCH, &parameter));
    CALL(sched_setscheduler(0, SCHED_IDLE, &parameter));
    CALL(sched_setscheduler(0, SCHED_IDLE, &parameter));
    CALL(sched_setscheduler(0, SCHED_OTHER, &parameter));
    CALL(sched_getscheduler(0));
}

int main(void) {
    pthread_t thread;
    sem_init(&begun, 0, 0);
    sem_init(&go_on, 0, 0);
    CALL(setpriority(PRIO_PROCESS, 0, 3));
    pthread_create(&thread, NULL, wait_here, NULL);
    sem_wait(&begun);
    CALL(getpriority(PRIO_PROCESS, other));
    CALL(setpriority(PRIO_PROCESS, other, -7));
    CALL(getpriority(PRIO_PROCESS, other));
    CALL(getpriority(PRIO_PROCESS, 0));
    show_stat("after -7");
    CALL(setpriority(PRIO_PROCESS, other, 100));
    CALL(getpriority(PRIO_PROCESS, other));
    CALL(setpriority(PRIO_PROCESS, other, -100));
    CALL(getpriority(PRIO_PROCESS, other));
    show_stat("after -100");
    setpgid(0, 0); /* refused where it leads a session */
    CALL(getpriority(PRIO_PGRP, 0));
    CALL(setpriority(PRIO_PGRP, 0, 4));
    CALL(getpriority(PRIO_PROCESS, other));
    CALL(getpriority(PRIO_PROCESS, 0));
    CALL(getpriority(PRIO_PROCESS, -1));
    CALL(setpriority(PRIO_PROCESS, 4000000, 1));
    CALL(setpriority(PRIO_PGRP, 4000000, 1));
    CALL(setpriority(PRIO_USER, 4000000, 1));
    CALL(setpriority(3, 0, 1));
    CALL(getpriority(-1, 0));
    sem_post(&go_on);
    pthread_join(thread, NULL);
    limits();
    return 0;
}

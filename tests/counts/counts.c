/*
 * How many instructions the common operations take: one line a subject, `name count`, the count being
 * the median of several rounds. Meant for an emulator that counts time in instructions (QEMU's
 * -icount shift=0), where the TSC goes on by one with each; elsewhere the unit is that of the TSC.
 *
 * No operation waits for anything but another thread of this program on the same CPU, so nothing of
 * a device's or a host's time gets in. Static and single-file: the same bytes run on Linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 11
#define PAGE 4096ul

static void check(int good, const char *what) {
    if (!good) {
        printf("error %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static uint64_t ticks(void) {
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static int smaller(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Does a subject `times` times. */
typedef void subject(int times);

static void measure(const char *name, subject *what, int times) {
    uint64_t counts[ROUNDS];
    what(times);
    for (int round = 0; round < ROUNDS; ++round) {
        uint64_t begun = ticks();
        what(times);
        counts[round] = ticks() - begun;
    }
    qsort(counts, ROUNDS, sizeof *counts, smaller);
    printf("%s %.1f\n", name, (double)counts[ROUNDS / 2] / times);
    fflush(stdout);
}

/* ---- calls that do nothing, or next to nothing ---- */

static void null_call(int times) {
    while (times-- > 0) getppid();
}

/* Through syscall(2), whose site serves every call and cannot know the number. */
static void indirect_call(int times) {
    while (times-- > 0) syscall(SYS_getppid);
}

static void clock_call(int times) {
    struct timespec time;
    while (times-- > 0) clock_gettime(CLOCK_MONOTONIC, &time);
}

static int null_file, zero_file, events;

static void write_null(int times) {
    char byte = 0;
    while (times-- > 0) check(write(null_file, &byte, 1) == 1, "write");
}

static void read_zero(int times) {
    char byte;
    while (times-- > 0) check(read(zero_file, &byte, 1) == 1, "read");
}

static void poll_events(int times) {
    struct epoll_event event;
    while (times-- > 0) check(epoll_wait(events, &event, 1, 0) == 0, "epoll_wait");
}

static void yield_alone(int times) {
    while (times-- > 0) sched_yield();
}

/* ---- from one thread to another and back: a subject is one of the two switches ---- */

static int turn;

static void hand_over(int mine, int theirs) {
    while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, theirs, NULL, NULL, 0);
    __atomic_store_n(&turn, theirs, __ATOMIC_RELEASE);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *other_of_futex(void *times) {
    for (int i = (int)(intptr_t)times; i > 0; --i) hand_over(1, 0);
    return NULL;
}

/* A small stack: how many empty pages of a large one are looked through when the thread ends depends
 * on where it lies. */
static pthread_t start(void *(*run)(void *), int times) {
    static pthread_attr_t small;
    static int made;
    pthread_t thread;
    if (!made++) {
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, 32 * PAGE);
    }
    check(pthread_create(&thread, &small, run, (void *)(intptr_t)times) == 0, "pthread_create");
    return thread;
}

static void futex_switch(int times) {
    pthread_t other = start(other_of_futex, times / 2);
    for (int i = times / 2; i > 0; --i) hand_over(0, 1);
    pthread_join(other, NULL);
}

static int there[2], back[2];

static void pass(int from, int to) {
    char byte;
    check(read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1, "pass");
}

static void *other_of_pair(void *times) {
    for (int i = (int)(intptr_t)times; i > 0; --i) pass(there[0], back[1]);
    return NULL;
}

static void pair_switch(int times) {
    char byte = 1;
    pthread_t other = start(other_of_pair, times / 2);
    check(write(there[1], &byte, 1) == 1, "write");
    for (int i = times / 2 - 1; i > 0; --i) pass(back[0], there[1]);
    check(read(back[0], &byte, 1) == 1, "read");
    pthread_join(other, NULL);
}

static void pipe_switch(int times) {
    check(pipe(there) == 0 && pipe(back) == 0, "pipe");
    pair_switch(times);
    for (int i = 0; i < 2; ++i) close(there[i]), close(back[i]);
}

static void socket_switch(int times) {
    int one[2], other[2];
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, one) == 0, "socketpair");
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, other) == 0, "socketpair");
    there[0] = one[0], there[1] = one[1], back[0] = other[0], back[1] = other[1];
    pair_switch(times);
    for (int i = 0; i < 2; ++i) close(one[i]), close(other[i]);
}

static void *nothing(void *unused) {
    return unused;
}

static void thread_life(int times) {
    while (times-- > 0) pthread_join(start(nothing, 0), NULL);
}

/* ---- memory ---- */

static void *anonymous(size_t size) {
    void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(area != MAP_FAILED, "mmap");
    return area;
}

/* The mapping and its end are part of the count: less than one in a hundred. */
static void first_touch(int times) {
    char *area = anonymous(times * PAGE);
    for (int page = 0; page < times; ++page) area[page * PAGE] = 1;
    check(munmap(area, times * PAGE) == 0, "munmap");
}

static void map_and_unmap(int times) {
    while (times-- > 0) check(munmap(anonymous(PAGE), PAGE) == 0, "munmap");
}

static void protect(int times) {
    static char *area;
    if (area == NULL) {
        area = anonymous(2 * PAGE);
        *area = 1;
    }
    while (times-- > 0)
        check(mprotect(area, PAGE, times % 2 ? PROT_READ : PROT_READ | PROT_WRITE) == 0, "mprotect");
}

int main(void) {
    null_file = open("/dev/null", O_WRONLY);
    zero_file = open("/dev/zero", O_RDONLY);
    events = epoll_create1(0);
    check(null_file >= 0 && zero_file >= 0 && events >= 0, "open");
    printf("begin\n");
    measure("null-call", null_call, 2000);
    measure("indirect-call", indirect_call, 2000);
    measure("clock", clock_call, 2000);
    measure("write-null", write_null, 2000);
    measure("read-zero", read_zero, 2000);
    measure("epoll-none", poll_events, 2000);
    measure("yield-alone", yield_alone, 2000);
    measure("futex-switch", futex_switch, 2000);
    measure("pipe-switch", pipe_switch, 2000);
    measure("socket-switch", socket_switch, 2000);
    measure("thread", thread_life, 100);
    measure("first-touch", first_touch, 1000);
    measure("map-unmap", map_and_unmap, 500);
    measure("protect", protect, 500);
    printf("end\n");
    return 0;
}

/*
 * How late a kernel is: one line a subject, `name unit figure`, the figure being a median of several
 * rounds. `ns` and `us` are the better the smaller, `percent` the better the larger. A call that
 * returns before its time is an error, not a figure.
 *
 * Static and single-file, so that the same bytes run in a Linux guest and on Kiln.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 21
#define MS 1000000ll

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int smaller(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median(int64_t *values, int count) {
    qsort(values, count, sizeof *values, smaller);
    return values[count / 2];
}

static void check(int good, const char *what) {
    if (!good) {
        printf("error %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

/* A wait of `ns` that has nothing to end it but its time. */
typedef void wait_function(int64_t ns);

static void lateness(const char *name, wait_function *wait, int64_t ns) {
    int64_t late[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        int64_t begun = now_ns();
        wait(ns);
        late[i] = now_ns() - begun - ns;
        check(late[i] >= 0, name);
    }
    printf("%s us %lld\n", name, (long long)median(late, ROUNDS) / 1000);
}

static struct timespec span(int64_t ns) {
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static void by_nanosleep(int64_t ns) {
    struct timespec t = span(ns);
    check(nanosleep(&t, NULL) == 0, "nanosleep");
}

static void by_poll(int64_t ns) { check(poll(NULL, 0, ns / MS) == 0, "poll"); }

static void by_select(int64_t ns) {
    struct timeval t = {ns / 1000000000, ns % 1000000000 / 1000};
    check(select(0, NULL, NULL, NULL, &t) == 0, "select");
}

static void by_epoll(int64_t ns) {
    static int fd = -1;
    struct epoll_event event;
    if (fd < 0) {
        fd = epoll_create1(0);
    }
    check(epoll_wait(fd, &event, 1, ns / MS) == 0, "epoll_wait");
}

static void by_futex(int64_t ns) {
    static uint32_t word;
    struct timespec t = span(ns);
    check(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t) < 0 && errno == ETIMEDOUT, "futex");
}

static void by_timerfd(int64_t ns) {
    static int fd = -1;
    struct itimerspec t = {.it_value = span(ns)};
    uint64_t count;
    if (fd < 0) {
        fd = timerfd_create(CLOCK_MONOTONIC, 0);
    }
    timerfd_settime(fd, 0, &t, NULL);
    check(read(fd, &count, 8) == 8 && count == 1, "timerfd");
}

static void by_itimer(int64_t ns) {
    struct itimerval t = {.it_value = {ns / 1000000000, ns % 1000000000 / 1000}};
    sigset_t alarm;
    int got;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, NULL);
    check(setitimer(ITIMER_REAL, &t, NULL) == 0, "setitimer");
    check(sigwait(&alarm, &got) == 0, "sigwait");
}

static void by_receive_timeout(int64_t ns) {
    static int fd = -1;
    char byte;
    if (fd < 0) {
        struct sockaddr_in any = {.sin_family = AF_INET};
        struct timeval t = {ns / 1000000000, ns % 1000000000 / 1000};
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        check(bind(fd, (void *)&any, sizeof any) == 0, "bind");
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    }
    check(recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN, "recv");
}

/* Threads that use all of the CPU, and how far each has come. */
static atomic_bool spinning;

struct spinner {
    pthread_t thread;
    _Alignas(64) atomic_long turns;
};

static void *spin(void *argument) {
    struct spinner *self = argument;
    while (atomic_load_explicit(&spinning, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&self->turns, 1, memory_order_relaxed);
    }
    return NULL;
}

static void start_spinners(struct spinner *spinners, int count) {
    spinning = 1;
    for (int i = 0; i < count; i++) {
        spinners[i].turns = 0;
        pthread_create(&spinners[i].thread, NULL, spin, &spinners[i]);
    }
}

static void stop_spinners(struct spinner *spinners, int count) {
    spinning = 0;
    for (int i = 0; i < count; i++) {
        pthread_join(spinners[i].thread, NULL);
    }
}

static void waking_among_spinners(void) {
    struct spinner spinners[2];
    start_spinners(spinners, 2);
    lateness("nanosleep_5ms_among_spinners", by_nanosleep, 5 * MS);
    stop_spinners(spinners, 2);
}

static void sharing(void) {
    struct spinner spinners[4];
    long least = 0, most = 0;
    start_spinners(spinners, 4);
    by_nanosleep(400 * MS);
    stop_spinners(spinners, 4);
    for (int i = 0; i < 4; i++) {
        long turns = spinners[i].turns;
        least = i == 0 || turns < least ? turns : least;
        most = turns > most ? turns : most;
    }
    printf("spinners_least_of_most percent %ld\n", least * 100 / most);
}

/* Round trips between two threads. */
struct pair {
    int to_peer[2], to_us[2];
};

static void *echo(void *argument) {
    struct pair *ends = argument;
    char byte;
    while (read(ends->to_peer[0], &byte, 1) == 1 && write(ends->to_us[1], &byte, 1) == 1) {
    }
    return NULL;
}

static void round_trips(const char *name, struct pair *ends) {
    enum { turns = 100 };
    int64_t took[ROUNDS];
    pthread_t peer;
    char byte = 1;
    pthread_create(&peer, NULL, echo, ends);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t begun = now_ns();
        for (int turn = 0; turn < turns; turn++) {
            check(write(ends->to_peer[1], &byte, 1) == 1 && read(ends->to_us[0], &byte, 1) == 1, name);
        }
        took[i] = (now_ns() - begun) / turns;
    }
    shutdown(ends->to_peer[1], SHUT_WR);
    close(ends->to_peer[1]);
    pthread_join(peer, NULL);
    printf("%s ns %lld\n", name, (long long)median(took, ROUNDS));
}

static void pipe_round_trip(void) {
    struct pair ends;
    check(pipe(ends.to_peer) == 0 && pipe(ends.to_us) == 0, "pipe");
    round_trips("pipe_round_trip", &ends);
}

/* A connection over loopback: [0] ours, [1] theirs. */
static void connect_loopback(int fds[2], int no_delay) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(listener, (void *)&at, sizeof at) == 0 && listen(listener, 1) == 0, "listen");
    getsockname(listener, (void *)&at, &size);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(fds[0], (void *)&at, sizeof at) == 0, "connect");
    fds[1] = accept(listener, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
    }
    close(listener);
}

static void tcp_round_trip(void) {
    int fds[2];
    connect_loopback(fds, 1);
    struct pair ends = {{fds[1], fds[0]}, {fds[0], fds[1]}};
    round_trips("tcp_round_trip", &ends);
}

/* Nagle's algorithm against delayed acknowledgments: two small writes, then an answer. */
static void *answer_pairs(void *argument) {
    int fd = *(int *)argument;
    char bytes[2];
    while (recv(fd, bytes, 2, MSG_WAITALL) == 2 && write(fd, bytes, 1) == 1) {
    }
    return NULL;
}

static void write_write_read(void) {
    int fds[2];
    int64_t took[ROUNDS];
    pthread_t peer;
    char byte = 1;
    connect_loopback(fds, 0);
    pthread_create(&peer, NULL, answer_pairs, &fds[1]);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t begun = now_ns();
        check(write(fds[0], &byte, 1) == 1 && write(fds[0], &byte, 1) == 1, "write");
        check(read(fds[0], &byte, 1) == 1, "read");
        took[i] = now_ns() - begun;
    }
    shutdown(fds[0], SHUT_WR);
    pthread_join(peer, NULL);
    printf("write_write_read us %lld\n", (long long)median(took, ROUNDS) / 1000);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("begin");
    lateness("nanosleep_1ms", by_nanosleep, MS);
    lateness("nanosleep_20ms", by_nanosleep, 20 * MS);
    lateness("poll_5ms", by_poll, 5 * MS);
    lateness("select_5ms", by_select, 5 * MS);
    lateness("epoll_wait_5ms", by_epoll, 5 * MS);
    lateness("futex_5ms", by_futex, 5 * MS);
    lateness("timerfd_5ms", by_timerfd, 5 * MS);
    lateness("setitimer_5ms", by_itimer, 5 * MS);
    lateness("receive_timeout_20ms", by_receive_timeout, 20 * MS);
    waking_among_spinners();
    sharing();
    pipe_round_trip();
    tcp_round_trip();
    write_write_read();
    puts("end");
    return 0;
}

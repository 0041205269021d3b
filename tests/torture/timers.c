/*
 * Clocks and waits: time never goes back for anyone, no wait ends before its time, and what a timer
 * counts is what has passed.
 */
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include "torture.h"

static atomic_long latest;

/* Whoever reads the clock after another has told of a time reads no earlier one. */
static void clock_reader(int self) {
    (void)self;
    for (int i = 0; i < 1000; i++) {
        long told = latest;
        long now = t_now_ns();
        if (now < told) {
            found_wrong(__FILE__, __LINE__, "time does not go back");
        }
        while (now > told && !atomic_compare_exchange_weak(&latest, &told, now)) {
        }
    }
}

/* --- waits of each kind, of up to three milliseconds --- */

static void by_nanosleep(long ns) {
    struct timespec left = {0, ns};
    CHECK(nanosleep(&left, NULL) == 0);
}

static void by_clock(long ns) { sleep_until_ns(t_now_ns() + ns); }

static void by_futex(long ns) {
    static int word;
    struct timespec limit = {0, ns};
    CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0) == -1 && errno == ETIMEDOUT);
}

static void by_ppoll(long ns) {
    struct timespec limit = {0, ns};
    CHECK(ppoll(NULL, 0, &limit, NULL) == 0);
}

static void by_select(long ns) {
    struct timespec limit = {0, ns};
    CHECK(pselect(0, NULL, NULL, NULL, &limit, NULL) == 0);
}

static void by_timerfd(long ns) {
    uint64_t count = 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec once = {.it_value = {0, ns}};
    CHECK(timerfd_settime(fd, 0, &once, NULL) == 0);
    CHECK(read(fd, &count, sizeof count) == sizeof count && count == 1);
    close(fd);
}

static void waiter(int self) {
    static void (*const ways[])(long) = {by_nanosleep, by_clock, by_futex, by_ppoll, by_select, by_timerfd};
    (void)self;
    long ns = 1 + chance(3000000);
    int64_t begun = t_now_ns();
    ways[chance(COUNT_OF(ways))](ns);
    CHECK(t_now_ns() - begun >= ns);
}

/* --- timers that tick --- */

static void ticker(int self) {
    (void)self;
    long interval = 200000 + chance(2000000);
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec each = {{0, interval}, {0, interval}};
    int64_t begun = t_now_ns();
    timerfd_settime(fd, 0, &each, NULL);
    int64_t set = t_now_ns();
    long total = 0;
    for (int i = 0; i < 10; i++) {
        uint64_t count = 0;
        int64_t before = t_now_ns();
        CHECK(read(fd, &count, sizeof count) == sizeof count && count > 0);
        total += (long)count;
        CHECK(total <= (t_now_ns() - begun) / interval);
        CHECK(total >= (before - set) / interval);
    }
    close(fd);
}

static atomic_long fired;

static void on_timer(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    atomic_fetch_add((atomic_long *)info->si_value.sival_ptr, 1 + info->si_overrun);
}

static void block_timer_signal(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    MUST(-pthread_sigmask(how, &set, NULL));
}

/* Signals and those that were run over make up what has passed. Only this thread takes them: they
   would end the waits of others. */
static void signalled(int self) {
    (void)self;
    block_timer_signal(SIG_UNBLOCK);
    long interval = 500000 + chance(2000000);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_ptr = &fired};
    struct itimerspec each = {{0, interval}, {0, interval}}, none = {{0, 0}, {0, 0}};
    timer_t timer;
    fired = 0;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    int64_t begun = t_now_ns();
    timer_settime(timer, 0, &each, NULL);
    sleep_until_ns(begun + 20 * interval);
    timer_settime(timer, 0, &none, NULL);
    int64_t end = t_now_ns();
    timer_delete(timer);
    long most = (end - begun) / interval;
    CHECK(fired > 0 && fired <= most);
}

/* --- a wait with a limit that another may end: whichever comes first, once --- */

static sem_t given, back;

static void giver(int self) {
    (void)self;
    by_nanosleep(1 + chance(400000));
    sem_post(&given);
    while (sem_wait(&back) == -1) {
    }
}

static void taker(int self) {
    (void)self;
    for (;;) {
        struct timespec limit;
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_nsec += chance(400000);
        limit.tv_sec += limit.tv_nsec / 1000000000;
        limit.tv_nsec %= 1000000000;
        if (sem_timedwait(&given, &limit) == 0) {
            break;
        }
        CHECK(errno == ETIMEDOUT || errno == EINTR);
        if (over) {
            return;
        }
    }
    int left = -1;
    sem_getvalue(&given, &left);
    CHECK(left == 0);
    sem_post(&back);
}

static void let_go(void) { sem_post(&back); }

int main(int argc, char **argv) {
    static struct crew crews[] = {{"clock readers", 2, clock_reader, 0}, {"waiters", 6, waiter, 0},
                                  {"tickers", 3, ticker, 0},             {"signalled", 1, signalled, 0},
                                  {"giver", 1, giver, 0},                {"taker", 1, taker, 0}};
    int seconds = read_arguments(argc, argv);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_timer;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    MUST(sigaction(SIGRTMIN + 1, &action, NULL));
    block_timer_signal(SIG_BLOCK);
    sem_init(&given, 0, 0);
    sem_init(&back, 0, 0);
    run_crews(crews, COUNT_OF(crews), seconds, let_go);
    return conclude(crews, COUNT_OF(crews));
}

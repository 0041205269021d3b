/*
 * Signals at threads that calculate, read and touch memory that is closed to them: registers stay as
 * they were, queued values arrive once and in order, calls go on, and a repaired fault is no fault.
 */
#include <signal.h>
#include <sys/syscall.h>
#include "torture.h"

enum { CALCULATORS = 2, PAGE = 4096, PAGES = 16, VALUES = 64 };

static pthread_t targets[CALCULATORS + 1];
static atomic_int targets_known;
static atomic_long handled;
static __thread char *alternate;
static __thread volatile long nested;

/* Handlers spoil what the kernel has to give back. */
static void spoil(int number, siginfo_t *info, void *context) {
    char here = 0;
    (void)number, (void)info, (void)context;
    if (alternate) {
        CHECK(&here >= alternate && &here < alternate + SIGSTKSZ * 4);
    }
    __asm__ volatile("pxor %%xmm0, %%xmm0\n pxor %%xmm1, %%xmm1\n pxor %%xmm7, %%xmm7\n pxor %%xmm15, %%xmm15"
                     ::: "xmm0", "xmm1", "xmm7", "xmm15");
    nested++;
    handled++;
}

static void own_stack_once(void) {
    if (!alternate) {
        alternate = malloc(SIGSTKSZ * 4);
        stack_t stack = {.ss_sp = alternate, .ss_size = SIGSTKSZ * 4};
        MUST(sigaltstack(&stack, NULL));
    }
}

static void offer_as_target(int self) {
    if (!targets[self]) {
        targets[self] = pthread_self();
        targets_known++;
    }
}

/* --- a sum that is known, in floating-point and in general registers --- */

static void calculator(int self) {
    own_stack_once();
    offer_as_target(self);
    double sum = 0;
    uint64_t hash = 14695981039346656037ull;
    for (int i = 1; i <= 20000; i++) {
        sum += (double)i * 0.5;
        hash = (hash ^ (uint64_t)i) * 1099511628211ull;
    }
    CHECK(sum == 100005000.0);
    static _Atomic uint64_t first;
    uint64_t none = 0;
    if (!atomic_compare_exchange_strong(&first, &none, hash)) {
        CHECK(first == hash);
    }
}

/* --- a pipe whose reader is interrupted and must not notice --- */

static int ends[2];

static void writer(int self) {
    static uint32_t next;
    uint32_t words[64];
    (void)self;
    for (int i = 0; i < COUNT_OF(words); i++) {
        words[i] = next++;
    }
    CHECK(write(ends[1], words, sizeof words) == sizeof words || over);
}

static void reader(int self) {
    static uint32_t next;
    uint32_t words[64];
    (void)self;
    offer_as_target(CALCULATORS);
    size_t have = 0;
    while (have < sizeof words) {
        ssize_t got = read(ends[0], (char *)words + have, sizeof words - have);
        if (over && got <= 0) {
            return;
        }
        if (!CHECK(got > 0)) {
            return;
        }
        have += (size_t)got;
    }
    for (int i = 0; i < COUNT_OF(words); i++) {
        CHECK(words[i] == next++);
    }
}

static void shooter(int self) {
    (void)self;
    if (targets_known < COUNT_OF(targets)) {
        sched_yield();
        return;
    }
    int number = chance(2) ? SIGUSR1 : SIGUSR2;
    int error = pthread_kill(targets[chance(COUNT_OF(targets))], number);
    CHECK(error == 0 || error == ESRCH);
    if (chance(8) == 0) {
        struct timespec little = {0, 100000};
        nanosleep(&little, NULL);
    }
}

/* --- values, queued to the process and taken by one thread --- */

static atomic_int last_taken = 0;

static void queuer(int self) {
    static int next = 1;
    (void)self;
    union sigval value = {.sival_int = next};
    if (sigqueue(getpid(), SIGRTMIN, value) == 0) {
        next++;
    } else {
        CHECK(errno == EAGAIN);
    }
    /* Not far ahead, or the queue is always full. */
    while (next - last_taken > VALUES && !over) {
        sched_yield();
    }
}

static void taker(int self) {
    (void)self;
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGRTMIN);
    struct timespec limit = {0, 50000000};
    siginfo_t info;
    if (sigtimedwait(&wanted, &info, &limit) == SIGRTMIN) {
        CHECK(info.si_code == SI_QUEUE);
        CHECK(info.si_value.sival_int == last_taken + 1);
        last_taken = info.si_value.sival_int;
    } else {
        CHECK(errno == EAGAIN);
    }
}

/* --- pages that are opened by the handler of the fault --- */

static char *closed;
static __thread volatile long repairs;

static void open_page(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));
    if (page < closed || page >= closed + PAGES * PAGE) {
        SAY("stop: a fault at a strange address");
        _exit(98);
    }
    repairs++;
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

static void toucher(int self) {
    (void)self;
    long before = repairs;
    CHECK(mprotect(closed, PAGES * PAGE, PROT_NONE) == 0);
    for (int page = 0; page < PAGES; page++) {
        closed[page * PAGE + 100]++;
    }
    CHECK(repairs == before + PAGES);
}

/* Brings out who waits for room and who waits for bytes. */
static void close_pipe(void) {
    close(ends[1]);
    close(ends[0]);
}

static void install(int number, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_RESTART | flags;
    MUST(sigaction(number, &action, NULL));
}

int main(int argc, char **argv) {
    static struct crew crews[] = {
        {"calculators", CALCULATORS, calculator, 0}, {"reader", 1, reader, 0},
        {"writer", 1, writer, 0},                    {"shooters", 2, shooter, 0},
        {"queuer", 1, queuer, 0},                    {"taker", 1, taker, 0},
        {"toucher", 1, toucher, 0}};
    int seconds = read_arguments(argc, argv);
    MUST(pipe(ends));
    signal(SIGPIPE, SIG_IGN);
    closed = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    install(SIGUSR1, spoil, SA_ONSTACK);
    install(SIGUSR2, spoil, SA_ONSTACK);
    install(SIGSEGV, open_page, 0);
    sigset_t queued;
    sigemptyset(&queued);
    sigaddset(&queued, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &queued, NULL);
    run_crews(crews, COUNT_OF(crews), seconds, close_pipe);
    CHECK(handled > 0);
    return conclude(crews, COUNT_OF(crews));
}

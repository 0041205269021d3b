/* Blocking, pending, coalescing of plain signals, queueing of real-time ones, order of delivery. */
#include "t.h"

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    if (number >= SIGRTMIN) {
        SAY("rt+%d value %d", number - SIGRTMIN, info->si_value.sival_int);
    } else {
        SAY("signal %d", number);
    }
}

int main(void) {
    struct sigaction action = {0};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    sigfillset(&action.sa_mask);
    sigset_t mask, old, pending;
    sigemptyset(&mask);
    int numbers[] = {SIGUSR1, SIGUSR2, SIGRTMIN + 1, SIGRTMIN + 2};
    for (int i = 0; i < 4; i++) {
        MUST(sigaction(numbers[i], &action, NULL));
        sigaddset(&mask, numbers[i]);
    }
    CALL(sigprocmask(SIG_BLOCK, &mask, &old));
    NUM(sigismember(&old, SIGUSR1));
    raise(SIGUSR2);
    raise(SIGUSR2);
    raise(SIGUSR1);
    for (int i = 1; i <= 3; i++) {
        union sigval value = {.sival_int = i};
        sigqueue(getpid(), SIGRTMIN + 2, value);
        sigqueue(getpid(), SIGRTMIN + 1, value);
    }
    CALL(sigpending(&pending));
    SAY("%d %d %d", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGRTMIN + 1),
        sigismember(&pending, SIGALRM));
    SAY("now open");
    CALL(sigprocmask(SIG_SETMASK, &old, NULL));
    CALL(sigpending(&pending));
    NUM(sigismember(&pending, SIGUSR1));
    CALL(sigprocmask(77, &mask, NULL));
    CALL(sigprocmask(77, NULL, &old));
    sigfillset(&mask);
    CALL(sigprocmask(SIG_SETMASK, &mask, NULL));
    CALL(sigprocmask(SIG_SETMASK, NULL, &old));
    SAY("%d %d", sigismember(&old, SIGKILL), sigismember(&old, SIGTERM));
    CALL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, NULL, 3));
    CALL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, BAD_POINTER, NULL, 8));
    return 0;
}

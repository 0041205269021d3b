/* sigaction: handler kinds, flags that are remembered, signals that cannot be caught. */
#include "t.h"

static volatile sig_atomic_t count;

static void handler(int number) {
    count += number == SIGUSR1;
}

int main(void) {
    struct sigaction action = {0}, old;
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigaddset(&action.sa_mask, SIGUSR2);
    CALL(sigaction(SIGUSR1, &action, NULL));
    CALL(sigaction(SIGUSR1, NULL, &old));
    IS(old.sa_handler == handler);
    IS(old.sa_flags & SA_RESTART);
    NUM(sigismember(&old.sa_mask, SIGUSR2));
    NUM(sigismember(&old.sa_mask, SIGUSR1));
    CALL(raise(SIGUSR1));
    CALL(raise(SIGUSR1));
    NUM(count);
    action.sa_flags = SA_RESETHAND;
    CALL(sigaction(SIGUSR1, &action, NULL));
    CALL(raise(SIGUSR1));
    CALL(sigaction(SIGUSR1, NULL, &old));
    IS(old.sa_handler == SIG_DFL);
    CALL(sigaction(SIGKILL, &action, NULL));
    CALL(sigaction(SIGSTOP, &action, NULL));
    CALL(sigaction(0, &action, NULL));
    CALL(sigaction(65, &action, NULL));
    CALL(sigaction(SIGKILL, NULL, &old));
    CALL(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
    CALL(syscall(SYS_rt_sigaction, SIGUSR1, BAD_POINTER, NULL, 8));
    action.sa_handler = SIG_IGN;
    CALL(sigaction(SIGUSR2, &action, NULL));
    CALL(raise(SIGUSR2));
    CALL(kill(getpid(), 0));
    CALL(kill(getpid(), 65));
    CALL(kill(0x3fffffff, SIGUSR1));
    return 0;
}

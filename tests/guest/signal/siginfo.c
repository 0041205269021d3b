/* The siginfo of kill, tgkill, raise, sigqueue and a timer. */
#include <sys/time.h>
#include "t.h"

static void handler(int number, siginfo_t *info, void *context) {
    SAY("%s code %d own pid %d value %d context %d", number == SIGUSR1 ? "usr1" : "other",
        info->si_code, info->si_code <= 0 && info->si_pid == getpid(),
        info->si_code == SI_QUEUE ? info->si_value.sival_int : 0, context != NULL);
}

int main(void) {
    struct sigaction action = {0};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    MUST(sigaction(SIGUSR1, &action, NULL));
    MUST(sigaction(SIGALRM, &action, NULL));
    MUST(sigaction(SIGRTMIN + 3, &action, NULL));
    kill(getpid(), SIGUSR1);
    raise(SIGUSR1);
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    union sigval value = {.sival_int = 99};
    sigqueue(getpid(), SIGUSR1, value);
    sigqueue(getpid(), SIGRTMIN + 3, value);
    struct itimerval once = {{0, 0}, {0, 10000}};
    setitimer(ITIMER_REAL, &once, NULL);
    pause();
    CALL(syscall(SYS_tgkill, getpid(), 0x3fffffff, SIGUSR1));
    CALL(syscall(SYS_tgkill, -1, gettid(), SIGUSR1));
    CALL(syscall(SYS_tkill, gettid(), 0));
    siginfo_t forged = {.si_signo = SIGUSR1, .si_code = SI_USER};
    CALL(syscall(SYS_rt_sigqueueinfo, 0x3fffffff, SIGUSR1, &forged));
    return 0;
}

/* sigsuspend and pause wait for a handled signal and put the mask back. */
#include <sys/time.h>
#include "t.h"

static volatile sig_atomic_t count;

static void handler(int number) {
    (void)number;
    count++;
}

int main(void) {
    t_handle(SIGALRM, handler, 0);
    sigset_t block, none, now;
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGALRM);
    NUM(count);
    CALL(sigsuspend(&none));
    NUM(count);
    sigprocmask(SIG_SETMASK, NULL, &now);
    NUM(sigismember(&now, SIGALRM));
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct itimerval once = {{0, 0}, {0, 20000}};
    setitimer(ITIMER_REAL, &once, NULL);
    CALL(pause());
    NUM(count);
    CALL(syscall(SYS_rt_sigsuspend, &none, 3));
    return 0;
}

/* signalfd: which signal, its value, order, masks, and readiness. */
#include <poll.h>
#include <sys/signalfd.h>
#include "t.h"

int main(void) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int fd = MUST(signalfd(-1, &mask, SFD_NONBLOCK));
    struct signalfd_siginfo info[4];
    CALL(read(fd, info, sizeof info));
    union sigval value = {.sival_int = 42};
    CALL(sigqueue(getpid(), SIGRTMIN, value));
    value.sival_int = 43;
    CALL(sigqueue(getpid(), SIGRTMIN, value));
    CALL(kill(getpid(), SIGUSR1));
    struct pollfd p = {fd, POLLIN, 0};
    CALL(poll(&p, 1, 0));
    CALL(read(fd, info, sizeof info) / (long)sizeof info[0]);
    for (int i = 0; i < 3; i++) {
        SAY("%s code %d value %d own %d", info[i].ssi_signo == SIGUSR1 ? "usr1" : "rt",
            info[i].ssi_code, info[i].ssi_code == SI_QUEUE ? info[i].ssi_int : 0,
            info[i].ssi_pid == (uint32_t)getpid());
    }
    CALL(poll(&p, 1, 0));
    CALL(read(fd, info, 10));
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    CALL(signalfd(fd, &mask, 0) == fd);
    CALL(signalfd(99, &mask, 0));
    CALL(signalfd(0, &mask, 0));
    CALL(signalfd(-1, &mask, 12345));
    return 0;
}

/* sigwaitinfo and sigtimedwait take blocked signals without running handlers. */
#include "t.h"

static void handler(int number) {
    SAY("handler ran for %d", number);
}

int main(void) {
    t_handle(SIGUSR1, handler, 0);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    siginfo_t info;
    struct timespec none = {0, 0}, brief = {0, 30000000}, bad = {0, -1};
    CALL(sigtimedwait(&mask, &info, &none));
    raise(SIGUSR1);
    CALL(sigtimedwait(&mask, &info, &none));
    NUM(info.si_code);
    union sigval value = {.sival_int = 5};
    sigqueue(getpid(), SIGRTMIN, value);
    IS(sigwaitinfo(&mask, &info) == SIGRTMIN);
    NUM(info.si_value.sival_int);
    int64_t begun = t_now_ns();
    CALL(sigtimedwait(&mask, &info, &brief));
    IS(t_now_ns() - begun >= 30000000);
    CALL(sigtimedwait(&mask, &info, &bad));
    int number;
    raise(SIGUSR1);
    RC(sigwait(&mask, &number));
    NUM(number);
    t_handle(SIGUSR2, handler, 0);
    raise(SIGUSR2);
    return 0;
}

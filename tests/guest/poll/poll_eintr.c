/* Waits are interrupted by a handled signal whatever SA_RESTART says, and pselect's mask is atomic. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include "t.h"

static volatile sig_atomic_t count;

static void on_alarm(int number) {
    (void)number;
    count++;
}

static void alarm_ms(int ms) {
    struct itimerval once = {{0, 0}, {0, ms * 1000}};
    setitimer(ITIMER_REAL, &once, NULL);
}

int main(void) {
    t_handle(SIGALRM, on_alarm, SA_RESTART);
    alarm_ms(20);
    CALL(poll(NULL, 0, 10000));
    alarm_ms(20);
    CALL(select(0, NULL, NULL, NULL, NULL));
    int ep = MUST(epoll_create1(0));
    struct epoll_event event;
    alarm_ms(20);
    CALL(epoll_wait(ep, &event, 1, 10000));
    NUM(count);
    sigset_t blocked, open_mask;
    sigemptyset(&open_mask);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGALRM);
    NUM(count);
    CALL(ppoll(NULL, 0, NULL, &open_mask));
    NUM(count);
    raise(SIGALRM);
    CALL(pselect(0, NULL, NULL, NULL, NULL, &open_mask));
    raise(SIGALRM);
    CALL(epoll_pwait(ep, &event, 1, -1, &open_mask));
    NUM(count);
    sigpending(&open_mask);
    NUM(sigismember(&open_mask, SIGALRM));
    return 0;
}

/* timer_create: by signal to the process and to a thread, overruns, remaining time, deletion. */
#include "t.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static volatile sig_atomic_t count, value;

static void handler(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    value = info->si_value.sival_int;
    count += info->si_code == SI_TIMER;
}

int main(void) {
    struct sigaction action = {0};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    MUST(sigaction(SIGRTMIN, &action, NULL));
    struct sigevent event = {0};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGRTMIN;
    event.sigev_value.sival_int = 17;
    timer_t timer;
    CALL(timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec soon = {{0, 0}, {0, 10000000}}, often = {{0, 3000000}, {0, 3000000}}, now;
    CALL(timer_settime(timer, 0, &soon, NULL));
    while (count < 1) {
        t_pause_ms(1);
    }
    NUM(value);
    CALL(timer_gettime(timer, &now));
    NUM(now.it_value.tv_nsec);
    CALL(timer_settime(timer, 0, &often, NULL));
    while (count < 4) {
        t_pause_ms(1);
    }
    IS(timer_getoverrun(timer) >= 0);
    CALL(timer_delete(timer));
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_notify_thread_id = gettid();
    count = 0;
    CALL(timer_create(CLOCK_REALTIME, &event, &timer));
    CALL(timer_settime(timer, 0, &soon, NULL));
    while (count < 1) {
        t_pause_ms(1);
    }
    CALL(timer_delete(timer));
    struct itimerspec bad = {{0, 0}, {0, -5}};
    event.sigev_notify = SIGEV_NONE;
    CALL(timer_create(CLOCK_MONOTONIC, &event, &timer));
    CALL(timer_settime(timer, 0, &bad, NULL));
    CALL(timer_create(99, &event, &timer));
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 99;
    CALL(timer_create(CLOCK_MONOTONIC, &event, &timer));
    return 0;
}

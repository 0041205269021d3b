/* setitimer and alarm: one shot, interval, virtual time, what is left. */
#include <sys/time.h>
#include "t.h"

static volatile sig_atomic_t real, spent;

static void handler(int number) {
    if (number == SIGALRM) {
        real++;
    } else {
        spent++;
    }
}

int main(void) {
    t_handle(SIGALRM, handler, SA_RESTART);
    t_handle(SIGVTALRM, handler, SA_RESTART);
    t_handle(SIGPROF, handler, SA_RESTART);
    struct itimerval often = {{0, 5000}, {0, 5000}}, off = {{0, 0}, {0, 0}}, old;
    CALL(setitimer(ITIMER_REAL, &often, NULL));
    while (real < 5) {
        pause();
    }
    CALL(setitimer(ITIMER_REAL, &off, &old));
    NUM(old.it_interval.tv_usec);
    int before = real;
    t_pause_ms(30);
    IS(real == before);
    CALL(getitimer(ITIMER_REAL, &old));
    NUM(old.it_value.tv_usec);
    NUM(alarm(100));
    IS(alarm(0) >= 99);
    CALL(setitimer(ITIMER_VIRTUAL, &often, NULL));
    while (spent < 2) {
    }
    CALL(setitimer(ITIMER_VIRTUAL, &off, NULL));
    spent = 0;
    CALL(setitimer(ITIMER_PROF, &often, NULL));
    while (spent < 2) {
    }
    CALL(setitimer(ITIMER_PROF, &off, NULL));
    struct itimerval bad = {{0, 0}, {0, 1000000}};
    CALL(setitimer(ITIMER_REAL, &bad, NULL));
    CALL(setitimer(9, &often, NULL));
    CALL(setitimer(ITIMER_REAL, BAD_POINTER, NULL));
    return 0;
}

/* nanosleep and clock_nanosleep: at least as long as asked, absolute times, bad values. */
#include "t.h"

int main(void) {
    struct timespec brief = {0, 20000000}, left = {7, 7};
    int64_t begun = t_now_ns();
    CALL(nanosleep(&brief, &left));
    IS(t_now_ns() - begun >= 20000000);
    NUM(left.tv_sec);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    begun = t_now_ns();
    until.tv_nsec += 30000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    RC(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    IS(t_now_ns() - begun >= 29000000);
    RC(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    RC(clock_nanosleep(CLOCK_REALTIME, 0, &brief, NULL));
    struct timespec bad = {0, 1000000000}, negative = {-1, 0};
    CALL(nanosleep(&bad, NULL));
    CALL(nanosleep(&negative, NULL));
    CALL(nanosleep(BAD_POINTER, NULL));
    RC(clock_nanosleep(99, 0, &brief, NULL));
    RC(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &brief, NULL));
    CALL(usleep(1000));
    NUM(sleep(0));
    struct timespec zero = {0, 0};
    CALL(nanosleep(&zero, NULL));
    return 0;
}

/* timerfd: one shot, interval, absolute time, disarming, expiry counts. */
#include <poll.h>
#include <sys/timerfd.h>
#include "t.h"

int main(void) {
    int fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    uint64_t times = 0;
    CALL(read(fd, &times, 8));
    struct itimerspec once = {{0, 0}, {0, 20000000}}, old, now;
    CALL(timerfd_settime(fd, 0, &once, NULL));
    CALL(timerfd_gettime(fd, &now));
    IS(now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 20000000);
    struct pollfd p = {fd, POLLIN, 0};
    CALL(poll(&p, 1, 5000));
    CALL(read(fd, &times, 8));
    NUM(times);
    CALL(read(fd, &times, 8));
    CALL(timerfd_gettime(fd, &now));
    NUM(now.it_value.tv_nsec);
    struct itimerspec often = {{0, 5000000}, {0, 5000000}};
    CALL(timerfd_settime(fd, 0, &often, NULL));
    t_pause_ms(60);
    CALL(read(fd, &times, 8));
    IS(times >= 11 && times < 1000);
    struct itimerspec none = {{0, 0}, {0, 0}};
    CALL(timerfd_settime(fd, 0, &none, &old));
    NUM(old.it_interval.tv_nsec);
    CALL(poll(&p, 1, 20));
    struct itimerspec past = {{0, 0}, {0, 1}};
    CALL(timerfd_settime(fd, TFD_TIMER_ABSTIME, &past, NULL));
    CALL(poll(&p, 1, 5000));
    CALL(read(fd, &times, 8));
    NUM(times);
    struct itimerspec bad = {{0, 0}, {0, 1000000000}};
    CALL(timerfd_settime(fd, 0, &bad, NULL));
    CALL(timerfd_settime(0, 0, &once, NULL));
    CALL(timerfd_create(99, 0));
    CALL(timerfd_create(CLOCK_MONOTONIC, 99));
    OK(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC));
    OK(timerfd_create(CLOCK_BOOTTIME, 0));
    CALL(read(fd, &times, 4));
    return 0;
}

/* clock_gettime and clock_getres of every clock; none runs backwards. */
#include <sys/time.h>
#include "t.h"

static int64_t read_clock(clockid_t clock) {
    struct timespec now;
    return clock_gettime(clock, &now) ? -1 : now.tv_sec * 1000000000ll + now.tv_nsec;
}

int main(void) {
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
        CLOCK_BOOTTIME, CLOCK_TAI};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        struct timespec unit = {9, 9};
        int64_t last = read_clock(clocks[i]), backwards = 0;
        for (int k = 0; k < 20000; k++) {
            int64_t now = read_clock(clocks[i]);
            backwards += now < last;
            last = now;
        }
        SAY("clock %d: backwards %d, positive %d, resolution %d", (int)clocks[i], (int)backwards,
            last > 0, clock_getres(clocks[i], &unit));
        IS(unit.tv_sec == 0 && unit.tv_nsec > 0);
    }
    struct timespec now;
    CALL(clock_gettime(99, &now));
    CALL(syscall(SYS_clock_gettime, CLOCK_REALTIME, BAD_POINTER));
    CALL(clock_getres(99, &now));
    struct timeval tv;
    CALL(gettimeofday(&tv, NULL));
    IS(tv.tv_sec > 1600000000);
    IS(time(NULL) - tv.tv_sec <= 1);
    IS(read_clock(CLOCK_REALTIME) / 1000000000 - tv.tv_sec <= 1);
    clockid_t own;
    RC(clock_getcpuclockid(getpid(), &own));
    IS(read_clock(own) > 0);
    return 0;
}

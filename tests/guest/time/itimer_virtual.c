/* ITIMER_VIRTUAL counts what the program uses itself, not what the kernel uses for it; ITIMER_PROF
 * counts both. */
#include <sys/resource.h>
#include <sys/time.h>
#include "t.h"

static volatile int virtual_alarms, profiling_alarms;

static void note(int number) {
    *(number == SIGVTALRM ? &virtual_alarms : &profiling_alarms) += 1;
}

static int64_t used_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static char buffer[1 << 20];

/* Nearly all in the kernel. */
static void read_zeros(int ms) {
    int fd = MUST(open("/dev/zero", O_RDONLY));
    for (int64_t end = used_ns() + ms * 1000000ll; used_ns() < end;) {
        for (int i = 0; i < 8; i++) {
            MUST(read(fd, buffer, sizeof buffer));
        }
    }
    close(fd);
}

static void spin(int ms) {
    for (int64_t end = used_ns() + ms * 1000000ll; used_ns() < end;) {
        for (volatile int i = 0; i < 100000; i++) {
        }
    }
}

int main(void) {
    struct itimerval once = {.it_value = {0, 400000}}, left;
    t_handle(SIGVTALRM, note, SA_RESTART);
    t_handle(SIGPROF, note, SA_RESTART);
    read_zeros(100);
    CALL(setitimer(ITIMER_VIRTUAL, &once, NULL));
    CALL(setitimer(ITIMER_PROF, &once, NULL));
    read_zeros(600);
    NUM(virtual_alarms);
    NUM(profiling_alarms);
    CALL(getitimer(ITIMER_VIRTUAL, &left));
    IS(left.it_value.tv_usec > 100000);
    spin(600);
    NUM(virtual_alarms);
    NUM(profiling_alarms);
    return 0;
}

/* Processor time moves while the program works: times, getrusage, clock. */
#include <sys/resource.h>
#include <sys/times.h>
#include "t.h"

int main(void) {
    struct rusage a, b;
    struct tms spent;
    CALL(getrusage(RUSAGE_SELF, &a));
    IS(times(&spent) != -1);
    struct timespec begun, now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begun);
    volatile unsigned long sum = 0;
    do {
        for (int i = 0; i < 100000; i++) {
            sum += i;
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while ((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 < 60);
    CALL(getrusage(RUSAGE_SELF, &b));
    IS(b.ru_utime.tv_sec * 1000000 + b.ru_utime.tv_usec + b.ru_stime.tv_sec * 1000000 +
           b.ru_stime.tv_usec >
       a.ru_utime.tv_sec * 1000000 + a.ru_utime.tv_usec);
    IS(b.ru_maxrss > 0);
    CALL(getrusage(RUSAGE_THREAD, &b));
    CALL(getrusage(RUSAGE_CHILDREN, &b));
    NUM(b.ru_utime.tv_sec);
    CALL(getrusage(99, &b));
    CALL(getrusage(RUSAGE_SELF, BAD_POINTER));
    times(&spent);
    IS(spent.tms_utime + spent.tms_stime > 0);
    NUM(sysconf(_SC_CLK_TCK));
    return 0;
}

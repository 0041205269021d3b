/* Processor time is the program's or the kernel's: computing counts as one, long system calls as the
 * other, in getrusage, times and /proc/self/stat; none of them ever runs backwards; a thread has its own.
 * @smp 1 2
 */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/times.h>
#include "t.h"

struct spent {
    long user, system; /* microseconds */
};

static struct spent used(int who) {
    struct rusage usage;
    MUST(getrusage(who, &usage));
    return (struct spent){usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec,
                          usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec};
}

static long backwards;

/* Until 600 ms of processor time are gone; how they divide. */
static struct spent spend(int who, void (*step)(void)) {
    struct spent begun = used(who), last = begun, now;
    do {
        for (int i = 0; i < 3; i++) {
            step();
        }
        now = used(who);
        backwards += now.user < last.user || now.system < last.system;
        last = now;
    } while (now.user + now.system - begun.user - begun.system < 600000);
    return (struct spent){now.user - begun.user, now.system - begun.system};
}

static void compute(void) {
    volatile unsigned long sum = 0;
    for (int i = 0; i < 200000; i++) {
        sum += i;
    }
}

static char *buffer;
enum { size = 4 << 20 };

static void call(void) {
    static int zero;
    if (zero == 0) {
        zero = MUST(open("/dev/zero", O_RDONLY));
    }
    MUST(read(zero, buffer, size));
}

static void *other(void *result) {
    *(struct spent *)result = spend(RUSAGE_THREAD, compute);
    return NULL;
}

static void proc_stat(long *user, long *system) {
    FILE *stat = fopen("/proc/self/stat", "r");
    char line[2048] = {0};
    fgets(line, sizeof line, stat);
    fclose(stat);
    sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", user, system);
}

/* Microseconds, hundredths of a second, microseconds. */
static bool between(long least, long ticks, long most) {
    return least / 10000 <= ticks && ticks <= most / 10000;
}

int main(void) {
    buffer = malloc(size);
    memset(buffer, 1, size);
    struct spent spent = spend(RUSAGE_SELF, compute);
    IS(spent.user > 2 * spent.system);
    spent = spend(RUSAGE_SELF, call);
    IS(spent.system > 2 * spent.user);
    struct spent own = used(RUSAGE_THREAD);
    pthread_t thread;
    pthread_create(&thread, NULL, other, &spent);
    pthread_join(thread, NULL);
    IS(spent.user > 2 * spent.system);
    struct spent again = used(RUSAGE_THREAD);
    IS(again.user + again.system - own.user - own.system < 500000);
    struct tms ticks;
    long user, system;
    struct spent before = used(RUSAGE_SELF);
    MUST(times(&ticks));
    proc_stat(&user, &system);
    struct spent after = used(RUSAGE_SELF);
    IS(between(before.user, ticks.tms_utime, after.user));
    IS(between(before.system, ticks.tms_stime, after.system));
    IS(between(before.user, user, after.user));
    IS(between(before.system, system, after.system));
    NUM(backwards);
    return 0;
}

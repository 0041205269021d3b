/* How often threads leave the CPU, to sleep and because others are to run, as /proc and getrusage tell
 * it; threads that have ended count on for the process. */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include "t.h"

static volatile int stop;
static volatile pid_t spinner;

struct counts {
    long voluntary, involuntary;
};

static struct counts of_status(const char *path) {
    char text[4096];
    struct counts found = {-1, -1};
    int fd = MUST(open(path, O_RDONLY));
    text[MUST(read(fd, text, sizeof text - 1))] = 0;
    close(fd);
    char *at = strstr(text, "\nvoluntary_ctxt_switches:");
    if (at == NULL || sscanf(at, "\nvoluntary_ctxt_switches:\t%ld\nnonvoluntary_ctxt_switches:\t%ld",
                             &found.voluntary, &found.involuntary) != 2) {
        SAY("%s does not tell", path);
    }
    return found;
}

static struct counts of_thread(pid_t tid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    return of_status(path);
}

static struct counts of_usage(int whose) {
    struct rusage usage;
    MUST(getrusage(whose, &usage));
    return (struct counts){usage.ru_nvcsw, usage.ru_nivcsw};
}

static void *spin(void *unused) {
    spinner = gettid();
    while (!stop) {
    }
    return unused;
}

/* A sleep whose time is over before the thread has left the CPU, on a busy host, is no switch. */
enum { sleeps = 60, at_least = sleeps / 2 };

static void *sleep_often(void *unused) {
    for (int i = 0; i < sleeps; i++) {
        t_pause_ms(2);
    }
    return unused;
}

static void sleeping(void) {
    struct counts before = of_thread(gettid()), usage = of_usage(RUSAGE_THREAD);
    IS(usage.voluntary >= before.voluntary && usage.involuntary >= before.involuntary);
    sleep_often(NULL);
    struct counts after = of_status("/proc/self/status");
    usage = of_usage(RUSAGE_THREAD);
    IS(after.voluntary - before.voluntary >= at_least);
    IS(after.voluntary - before.voluntary < 2 * sleeps);
    IS(usage.voluntary >= after.voluntary && usage.voluntary < after.voluntary + 20);
}

static void sharing(void) {
    pthread_t threads[2];
    struct counts found;
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, spin, NULL);
    }
    do {
        t_pause_ms(20);
        found = of_thread(spinner);
    } while (found.involuntary < 20);
    IS(found.voluntary <= found.involuntary);
    stop = 1;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void ended_threads(void) {
    pthread_t thread;
    struct counts before = of_usage(RUSAGE_SELF);
    pthread_create(&thread, NULL, sleep_often, NULL);
    pthread_join(thread, NULL);
    struct counts after = of_usage(RUSAGE_SELF);
    IS(after.voluntary - before.voluntary >= at_least);
    IS(after.involuntary >= before.involuntary);
}

int main(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    MUST(sched_setaffinity(0, sizeof one, &one));
    sleeping();
    sharing();
    ended_threads();
    return 0;
}

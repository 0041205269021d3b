/* Affinity and the number of processors: what is set is read back, empty masks are refused. */
#include <sched.h>
#include <pthread.h>
#include "t.h"

static void *where(void *unused) {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    NUM(CPU_COUNT(&set));
    NUM(sched_getcpu());
    return unused;
}

int main(void) {
    cpu_set_t all, one, none, got;
    IS(sched_getaffinity(0, sizeof all, &all) == 0);
    IS(CPU_COUNT(&all) == sysconf(_SC_NPROCESSORS_ONLN) || CPU_COUNT(&all) > 0);
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    CALL(sched_setaffinity(0, sizeof one, &one));
    CALL(sched_getaffinity(0, sizeof got, &got));
    NUM(CPU_COUNT(&got));
    NUM(sched_getcpu());
    pthread_t thread;
    pthread_create(&thread, NULL, where, NULL);
    pthread_join(thread, NULL);
    CPU_ZERO(&none);
    CALL(sched_setaffinity(0, sizeof none, &none));
    CALL(sched_setaffinity(0x3fffffff, sizeof one, &one));
    CALL(syscall(SYS_sched_getaffinity, 0, 3, &got));
    CALL(sched_getaffinity(-1, sizeof got, &got));
    CALL(sched_setaffinity(-1, sizeof one, &one));
    CALL(sched_setaffinity(-1, sizeof one, BAD_POINTER));
    CALL(sched_setaffinity(0, sizeof all, &all));
    IS(sysconf(_SC_NPROCESSORS_CONF) >= 1);
    return 0;
}

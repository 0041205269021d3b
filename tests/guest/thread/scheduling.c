/* Scheduling policies and priorities that can be asked for, and their ranges. */
#include <sched.h>
#include <sys/resource.h>
#include "t.h"

int main(void) {
    struct sched_param parameter = {0};
    CALL(sched_getscheduler(0));
    CALL(sched_getparam(0, &parameter));
    NUM(parameter.sched_priority);
    CALL(sched_get_priority_min(SCHED_OTHER));
    CALL(sched_get_priority_max(SCHED_OTHER));
    CALL(sched_get_priority_min(SCHED_FIFO));
    CALL(sched_get_priority_max(SCHED_RR));
    CALL(sched_get_priority_max(99));
    parameter.sched_priority = 5;
    CALL(sched_setscheduler(0, SCHED_OTHER, &parameter));
    parameter.sched_priority = 0;
    CALL(sched_setscheduler(0, SCHED_BATCH, &parameter));
    CALL(sched_getscheduler(0));
    CALL(sched_setscheduler(0, 99, &parameter));
    CALL(sched_setscheduler(-1, SCHED_OTHER, &parameter));
    CALL(sched_setscheduler(0, SCHED_OTHER, &parameter));
    CALL(sched_yield());
    struct timespec slice;
    CALL(sched_rr_get_interval(0, &slice));
    CALL(getpriority(PRIO_PROCESS, 0));
    CALL(setpriority(PRIO_PROCESS, 0, 5));
    CALL(getpriority(PRIO_PROCESS, 0));
    CALL(setpriority(99, 0, 5));
    CALL(nice(1));
    return 0;
}

/* Setting and adjusting the clock: reading works, nonsense is refused. */
#include <sys/time.h>
#include <sys/timex.h>
#include "t.h"

int main(void) {
    struct timex state = {0};
    IS(adjtimex(&state) >= 0);
    IS(state.tick > 0);
    struct timespec bad = {0, 1000000000};
    CALL(clock_settime(CLOCK_REALTIME, &bad));
    CALL(clock_settime(CLOCK_MONOTONIC, &bad));
    struct timespec fine = {1000, 0};
    CALL(clock_settime(CLOCK_MONOTONIC, &fine));
    CALL(clock_settime(99, &fine));
    return 0;
}

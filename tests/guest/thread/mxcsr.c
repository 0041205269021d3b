/* Rounding modes belong to each thread and are inherited when it is made.
 * @build dynamic -lm
 */
#include <fenv.h>
#include <pthread.h>
#include "t.h"

static void *check(void *unused) {
    NUM(fegetround() == FE_UPWARD);
    fesetround(FE_TOWARDZERO);
    return unused;
}

int main(void) {
    CALL(fesetround(FE_UPWARD));
    pthread_t thread;
    pthread_create(&thread, NULL, check, NULL);
    pthread_join(thread, NULL);
    NUM(fegetround() == FE_UPWARD);
    volatile double one = 1, three = 3;
    double up = one / three;
    fesetround(FE_DOWNWARD);
    double down = one / three;
    IS(up > down);
    feclearexcept(FE_ALL_EXCEPT);
    volatile double zero = 0;
    volatile double infinite = one / zero;
    (void)infinite;
    IS(fetestexcept(FE_DIVBYZERO));
    return 0;
}

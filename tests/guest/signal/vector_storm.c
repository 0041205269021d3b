/* Vector registers with upper halves are the same after signals that come at any instruction and whose
 * handlers use them all.
 * @cpu max max,avx=off qemu64
 */
#include <sys/time.h>
#include "vector.h"

static volatile sig_atomic_t count;

static void handler(int number) {
    struct vectors own, out;
    v_fill(&own, number + count);
    V_AROUND(&own, &out, "nop", );
    count++;
}

int main(void) {
    t_handle(SIGALRM, handler, 0);
    struct itimerval often = {{0, 2000}, {0, 2000}};
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    struct vectors in, out;
    long wrong = 0;
    for (int i = 1; i <= 50; i++) {
        v_fill(&in, i);
        V_AROUND(&in, &out, "1: cmp %[until], (%[now])\n jl 1b\n", , [until] "r"(i), [now] "r"(&count));
        wrong += memcmp(&in, &out, sizeof in) != 0;
    }
    NUM(wrong);
    return 0;
}

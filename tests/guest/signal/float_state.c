/* Vector and x87 registers are the same after a signal handler that used them all. */
#include <sys/time.h>
#include "t.h"

static volatile sig_atomic_t count;
static volatile double sink;

static void handler(int number) {
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; movdqa %%xmm0, %%xmm7; movdqa %%xmm0, %%xmm15;"
                     "fninit; fldpi" ::: "xmm0", "xmm7", "xmm15");
    __asm__ volatile("fstp %st(0)");
    sink = number * 1.5;
    count++;
}

int main(void) {
    t_handle(SIGALRM, handler, 0);
    struct itimerval often = {{0, 2000}, {0, 2000}};
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    long wrong = 0;
    uint64_t in[2] = {0x1122334455667788, 0x99aabbccddeeff00}, out[2][2];
    for (int i = 1; i <= 50; i++) {
        double kept = 0;
        __asm__ volatile("movdqu (%0), %%xmm7; movdqu (%0), %%xmm15; fld1; fldl2e\n"
                         "1: cmp %2, (%1); jl 1b\n"
                         "movdqu %%xmm7, (%3); movdqu %%xmm15, 16(%3)\n"
                         "faddp; fstpl %4"
                         :
                         : "r"(in), "r"(&count), "r"(i), "r"(out), "m"(kept)
                         : "xmm7", "xmm15", "memory", "cc");
        wrong += memcmp(out[0], in, 16) != 0 || memcmp(out[1], in, 16) != 0;
        wrong += kept < 2.4426 || kept > 2.4428;
    }
    NUM(wrong);
    return 0;
}

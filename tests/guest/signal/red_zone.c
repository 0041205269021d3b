/* Signals that interrupt a leaf function leave the 128 bytes below its stack pointer alone. */
#include <sys/time.h>
#include "t.h"

static volatile sig_atomic_t count;

static void handler(int number) {
    volatile char junk[2000];
    for (unsigned i = 0; i < sizeof junk; i++) {
        junk[i] = number;
    }
    count++;
}

/* Fills the red zone, waits for a signal to come, and counts the words that changed. */
__attribute__((noinline)) static long spin(volatile sig_atomic_t *flag, int until) {
    long wrong = 0;
    __asm__ volatile(
        "mov $16, %%rcx\n"
        "1: neg %%rcx\n"
        "mov %%rcx, (%%rsp,%%rcx,8)\n"
        "neg %%rcx\n"
        "dec %%rcx\n"
        "jnz 1b\n"
        "2: cmp %2, (%1)\n"
        "jl 2b\n"
        "mov $16, %%rcx\n"
        "3: neg %%rcx\n"
        "cmp %%rcx, (%%rsp,%%rcx,8)\n"
        "je 4f\n"
        "inc %0\n"
        "4: neg %%rcx\n"
        "dec %%rcx\n"
        "jnz 3b\n"
        : "+r"(wrong)
        : "r"(flag), "r"(until)
        : "rcx", "memory", "cc");
    return wrong;
}

int main(void) {
    t_handle(SIGALRM, handler, 0);
    struct itimerval often = {{0, 2000}, {0, 2000}};
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    long wrong = 0;
    for (int i = 1; i <= 50; i++) {
        wrong += spin(&count, i);
    }
    NUM(wrong);
    IS(count >= 50);
    return 0;
}

/* SIGFPE, SIGILL and SIGTRAP with their codes, survived by stepping over. */
#include <setjmp.h>
#include "t.h"

static sigjmp_buf back;

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    SAY("signal %d code %d", number, info->si_code);
    siglongjmp(back, 1);
}

int main(int argc, char **argv) {
    (void)argv;
    struct sigaction action = {0};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    int numbers[] = {SIGFPE, SIGILL, SIGTRAP, SIGSEGV};
    for (int i = 0; i < 4; i++) {
        MUST(sigaction(numbers[i], &action, NULL));
    }
    volatile int zero = argc - 1;
    if (!sigsetjmp(back, 1)) {
        NUM(5 / zero);
    }
    if (!sigsetjmp(back, 1)) {
        volatile int least = INT_MIN, minus = -argc;
        NUM(least / minus);
    }
    if (!sigsetjmp(back, 1)) {
        __asm__ volatile("ud2");
    }
    if (!sigsetjmp(back, 1)) {
        __asm__ volatile("int3");
    }
    if (!sigsetjmp(back, 1)) {
        __asm__ volatile("movq $0x8000000000000000, %%rax; movb (%%rax), %%al" ::: "rax");
    }
    return 0;
}

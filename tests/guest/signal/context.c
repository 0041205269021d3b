/* A handler sees the interrupted registers and can change where and with what the program goes on. */
#include <ucontext.h>
#include "t.h"

static void skip(int number, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    (void)info;
    SAY("signal %d, rbx %llx, r12 %llx", number, uc->uc_mcontext.gregs[REG_RBX],
        uc->uc_mcontext.gregs[REG_R12]);
    IS(uc->uc_mcontext.fpregs != NULL);
    uc->uc_mcontext.gregs[REG_RIP] += 2;
    uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

int main(void) {
    struct sigaction action = {0};
    action.sa_sigaction = skip;
    action.sa_flags = SA_SIGINFO;
    MUST(sigaction(SIGILL, &action, NULL));
    long result;
    __asm__ volatile("mov $0x1234, %%rbx; mov $0x5678, %%r12; ud2"
                     : "=a"(result)
                     :
                     : "rbx", "r12", "memory");
    NUM(result);
    ucontext_t here;
    volatile int passes = 0;
    CALL(getcontext(&here));
    if (passes++ < 2) {
        setcontext(&here);
    }
    NUM(passes);
    return 0;
}

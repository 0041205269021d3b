/* Of the flags and selectors in a signal frame sigreturn takes only what a program may change: not the
 * interrupt flag, the I/O privilege level and the nested-task flag.
 */
#include <ucontext.h>
#include "t.h"

static unsigned long wanted, change_selectors;

static void handler(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    registers[REG_EFL] = wanted;
    if (change_selectors) {
        registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~0xffff0000ll) | 0x12340000;
    }
}

static unsigned long after(unsigned long flags) {
    unsigned long found;
    wanted = flags;
    __asm__ volatile("mov $200, %%eax\n syscall\n sub $256, %%rsp\n pushfq\n pop %0\n add $256, %%rsp"
                     : "=&r"(found)
                     : "D"(gettid()), "S"(SIGUSR1)
                     : "rax", "rcx", "r11", "cc", "memory");
    return found;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGUSR1, &action, NULL));
    SAY("nothing: %lx", after(0) & 0x7700 & ~0x400);
    SAY("interrupts off, privilege, nested: %lx", after(0x7002) & 0x7300);
    SAY("direction: %lx", after(0x602) & 0x400);
    __asm__ volatile("cld");
    change_selectors = 1; /* GS and FS, which Linux does not look at either */
    SAY("selectors: %lx", after(0x202) & 0x7300);
    return 0;
}

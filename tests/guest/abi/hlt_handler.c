/* A handler for the SIGSEGV of hlt sees where it was and can go on behind it; instructions that end with
 * the same byte, and places that are jumped to past a hlt, are nothing of the kind, however often an
 * interrupt comes right there.
 * @smp 1 2
 */
#include <sys/time.h>
#include <ucontext.h>
#include "t.h"

static int count;

static void handler(int number, siginfo_t *info, void *context) {
    (void)number;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (++count <= 2) {
        SAY("code %d, address %p, trap %lld, at the instruction: %s", info->si_code, info->si_addr,
            registers[REG_TRAPNO], *(unsigned char *)registers[REG_RIP] == 0xf4 ? "yes" : "no");
    }
    registers[REG_RIP]++;
}

static void tick(int number) { (void)number; }

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGSEGV, &action, NULL));
    for (int i = 0; i < 5; i++) {
        /* Behind bytes with which it might be one instruction: add %dh, %ah; shl $-12, %ah. */
        __asm__ volatile(".p2align 4\n mov $0, %%eax\n hlt\n" ::: "rax", "memory");
        __asm__ volatile(".p2align 4\n xor %%eax, %%eax\n hlt\n hlt\n" ::: "rax", "cc", "memory");
    }
    NUM(count);
    t_handle(SIGALRM, tick, 0);
    struct itimerval often = {{0, 300}, {0, 300}};
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    unsigned long sum = 0;
    for (int64_t begun = t_now_ns(); t_now_ns() - begun < 500000000;) {
        __asm__ volatile("mov $20000, %%ecx\n"
                         "1: sub $-12, %0\n .byte 0x8d, 0x49, 0xff\n" /* lea -1(%rcx), %ecx */
                         "add $0xfffffff4, %%eax\n lea -12(%0), %%rdx\n sub $-12, %0\n"
                         "jmp 2f\n hlt\n 2: test %%rsp, %%rsp\n jne 3f\n hlt\n"
                         "3: test %%ecx, %%ecx\n jne 1b"
                         : "+r"(sum)
                         :
                         : "rax", "rcx", "rdx", "cc");
    }
    IS(sum > 0);
    NUM(count);
    return 0;
}

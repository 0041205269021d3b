/* A system call keeps every register but rax, rcx and r11. The direction flag is clear whenever
 * libc makes a call; Linux would keep it set, Kiln's entry clears it and leaves it so.
 * @differs "flags & 0x400: yes" => "flags & 0x400: no"
 */
#include "t.h"

int main(void) {
    unsigned long in[10], out[10];
    for (int i = 0; i < 10; i++) {
        in[i] = 0x1111111111111111ul * (i + 1);
    }
    static struct {
        unsigned long *in, *out;
    } where;
    where.in = in;
    where.out = out;
    unsigned long before = 0, after = 0;
    __asm__ volatile(
        "mov %%rsp, %0\n"
        "mov 0(%2), %%rbx; mov 8(%2), %%r8; mov 16(%2), %%r9; mov 24(%2), %%r10\n"
        "mov 32(%2), %%r12; mov 40(%2), %%r13; mov 48(%2), %%r14; mov 56(%2), %%r15\n"
        "mov $39, %%eax\n"
        "syscall\n"
        "mov %%rbx, 0(%3); mov %%r8, 8(%3); mov %%r9, 16(%3); mov %%r10, 24(%3)\n"
        "mov %%r12, 32(%3); mov %%r13, 40(%3); mov %%r14, 48(%3); mov %%r15, 56(%3)\n"
        "mov %%rsp, %1\n"
        : "=&d"(before), "=&a"(after)
        : "S"(where.in), "D"(where.out)
        : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
    IS(memcmp(in, out, 64) == 0);
    IS(before == after);
    unsigned long flags;
    __asm__ volatile("std; mov $39, %%eax; syscall; pushfq; pop %0; cld"
                     : "=r"(flags)
                     :
                     : "rax", "rcx", "r11", "memory");
    IS(flags & 0x400);
    return 0;
}

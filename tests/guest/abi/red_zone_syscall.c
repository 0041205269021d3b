/* Data in the red zone survives system calls made from there. */
#include "t.h"

int main(void) {
    long wrong = 0;
    for (int round = 0; round < 1000; round++) {
        long changed = 0;
        __asm__ volatile(
            "mov $16, %%rbx\n"
            "1: neg %%rbx\n mov %%rbx, (%%rsp,%%rbx,8)\n neg %%rbx\n dec %%rbx\n jnz 1b\n"
            "mov $39, %%eax\n syscall\n"
            "mov $24, %%eax\n syscall\n"
            "mov $16, %%rbx\n"
            "3: neg %%rbx\n cmp %%rbx, (%%rsp,%%rbx,8)\n je 4f\n inc %0\n"
            "4: neg %%rbx\n dec %%rbx\n jnz 3b\n"
            : "+r"(changed)
            :
            : "rax", "rbx", "rcx", "r11", "memory", "cc");
        wrong += changed;
    }
    NUM(wrong);
    return 0;
}

/* Vector instructions that the processor offers work and keep their registers across calls. */
#include "t.h"

__attribute__((target("avx2"))) static int with_avx(void) {
    unsigned char in[32], out[32];
    for (int i = 0; i < 32; i++) {
        in[i] = i * 7;
    }
    __asm__ volatile("vmovdqu (%0), %%ymm9\n mov $24, %%eax\n syscall\n vmovdqu %%ymm9, (%1)"
                     :
                     : "r"(in), "r"(out)
                     : "rax", "rcx", "r11", "xmm9", "memory");
    return memcmp(in, out, 32) == 0;
}

int main(void) {
    IS(__builtin_cpu_supports("sse2"));
    IS(!__builtin_cpu_supports("avx2") || with_avx());
    uint64_t in[2] = {1, 2}, out[2];
    __asm__ volatile("movdqu (%0), %%xmm5\n mov $24, %%eax\n syscall\n movdqu %%xmm5, (%1)"
                     :
                     : "r"(in), "r"(out)
                     : "rax", "rcx", "r11", "xmm5", "memory");
    IS(memcmp(in, out, 16) == 0);
    return 0;
}

/* The vector registers' state as CPUID describes it and signal frames carry it (Intel SDM vol. 1, 13). */
#ifndef KILN_TEST_VECTOR_H
#define KILN_TEST_VECTOR_H

#include <cpuid.h>
#include <ucontext.h>
#include "t.h"

#define MAGIC1 0x46505853u
#define MAGIC2 0x46505845u

struct frame_software { /* bytes 464..511 of the legacy region */
    uint32_t magic1, extended_size;
    uint64_t features;
    uint32_t state_size, padding[7];
};
struct frame_header { /* bytes 512..575 */
    uint64_t in_use, compacted, reserved[6];
};

static inline bool v_has_xsave(void) {
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    return c >> 27 & 1;
}
/* XCR0: what the kernel has enabled. */
static inline uint64_t v_features(void) {
    unsigned low = 3, high = 0;
    if (v_has_xsave()) {
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    }
    return (uint64_t)high << 32 | low;
}
/* Asked once: CPUID is slow in a virtual machine. */
static bool v_avx;
__attribute__((constructor)) static void v_start(void) { v_avx = (v_features() & 6) == 6; }
static inline bool v_has_avx(void) { return v_avx; }
static inline unsigned v_offset(unsigned feature) {
    unsigned a, b, c, d;
    __cpuid_count(13, feature, a, b, c, d);
    return b;
}

static inline unsigned char *v_image(void *context) {
    return (unsigned char *)((ucontext_t *)context)->uc_mcontext.fpregs;
}
static inline struct frame_software *v_software(void *context) {
    return (struct frame_software *)(v_image(context) + 464);
}
static inline struct frame_header *v_header(void *context) {
    return (struct frame_header *)(v_image(context) + 512);
}

/* All sixteen registers at once; the upper halves only where there are any. */
struct vectors {
    unsigned char low[16][16], high[16][16];
};
#define V_EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define V_CLOBBERS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                   "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory"
#define V_LOW_IN(n) "movdqu " #n "*16(%[from]), %%xmm" #n "\n"
#define V_LOW_OUT(n) "movdqu %%xmm" #n ", " #n "*16(%[to])\n"
#define V_HIGH_IN(n) "vinsertf128 $1, 256+" #n "*16(%[from]), %%ymm" #n ", %%ymm" #n "\n"
#define V_HIGH_OUT(n) "vextractf128 $1, %%ymm" #n ", 256+" #n "*16(%[to])\n"

/* Loads all registers, runs `code` (assembly, with operands as given), stores all registers. */
#define V_AROUND(in, out, code, ...)                                                              \
    do {                                                                                          \
        struct vectors *to_ = (out);                                                              \
        const struct vectors *from_ = (in);                                                       \
        memset(to_, 0, sizeof *to_);                                                              \
        if (v_has_avx()) {                                                                        \
            __asm__ volatile(V_EACH(V_LOW_IN) V_EACH(V_HIGH_IN) code "\n"                         \
                             V_EACH(V_LOW_OUT) V_EACH(V_HIGH_OUT) "vzeroupper"                    \
                             :                                                                    \
                             : [from] "b"(from_), [to] "r"(to_) __VA_ARGS__                       \
                             : V_CLOBBERS, "rax", "rcx", "r11", "cc");                            \
        } else {                                                                                  \
            __asm__ volatile(V_EACH(V_LOW_IN) code "\n" V_EACH(V_LOW_OUT)                         \
                             :                                                                    \
                             : [from] "b"(from_), [to] "r"(to_) __VA_ARGS__                       \
                             : V_CLOBBERS, "rax", "rcx", "r11", "cc");                            \
        }                                                                                         \
    } while (0)

static inline void v_fill(struct vectors *v, unsigned seed) {
    memset(v, 0, sizeof *v);
    for (int i = 0; i < 256; i++) {
        v->low[i / 16][i % 16] = seed + i * 7;
        v->high[i / 16][i % 16] = v_has_avx() ? seed * 3 + i * 5 + 1 : 0;
    }
}

#endif

/* What sigreturn makes of a frame whose vector state was damaged: what XRSTOR would fault on is SIGSEGV,
 * without its magic numbers it is a legacy image, and what it does not name has its initial values.
 */
#include <setjmp.h>
#include "vector.h"

static sigjmp_buf back;
static int kind;
static unsigned char copy[16384] __attribute__((aligned(64)));

static void segv(int number) {
    (void)number;
    siglongjmp(back, 1);
}

static void change(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    ucontext_t *uc = context;
    unsigned char *image = v_image(context);
    struct frame_software *software = v_software(context);
    struct frame_header *header = v_header(context);
    switch (kind) {
    case 0: break;
    case 1: image[27] = 0x80; break; /* a reserved bit of MXCSR */
    case 2: header->in_use |= 1ull << 62; break;
    case 3: header->in_use |= 1ull << 9; break; /* a feature that is not enabled */
    case 4: header->compacted = 1ull << 63; break;
    case 5: header->reserved[0] = 1; break;
    case 6: software->magic1 ^= 1; break;
    case 7: image[software->state_size] ^= 1; break; /* magic2 */
    case 8: software->state_size = 575; break;
    case 9: software->state_size += 64; break;
    case 10: software->extended_size = software->state_size - 1; break;
    case 11: software->features = 3; break;
    case 12: software->features = 0; break;
    case 13: header->in_use = 1; break; /* SSE and AVX as at the start */
    case 14: header->in_use = 0; break;
    case 15: header->in_use = 4; break;
    case 16: uc->uc_mcontext.fpregs = NULL; break;
    case 17: uc->uc_mcontext.fpregs = BAD_POINTER; break;
    case 18: uc->uc_mcontext.fpregs = (void *)(image + 8); break;
    case 19:
        memcpy(copy + 16, image, software->extended_size);
        uc->uc_mcontext.fpregs = (void *)(copy + 16);
        break;
    case 20:
        memcpy(copy + 64, image, software->extended_size);
        uc->uc_mcontext.fpregs = (void *)(copy + 64);
        break;
    case 21:
        memcpy(copy + 16, image, 512);
        memset(copy + 16 + 464, 0, 48);
        uc->uc_mcontext.fpregs = (void *)(copy + 16);
        break;
    case 22: uc->uc_mcontext.fpregs = (void *)0xffff800000001000ul; break;
    case 23: header->reserved[3] = 1; break; /* beyond what is checked */
    }
}

static const char *what_of(const unsigned char (*now)[16], const unsigned char (*before)[16]) {
    static const unsigned char zero[16][16];
    return !memcmp(now, before, 256) ? "kept" : !memcmp(now, zero, 256) ? "zero" : "other";
}

int main(void) {
    struct sigaction action = {.sa_sigaction = change, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGUSR1, &action, NULL));
    t_handle(SIGSEGV, segv, SA_NODEFER);
    IS(v_has_avx());
    struct vectors in, out;
    v_fill(&in, 5);
    for (kind = 0; kind <= 23; kind++) {
        if (sigsetjmp(back, 1)) {
            SAY("%d: SIGSEGV", kind);
            continue;
        }
        unsigned mxcsr = 0x3f80, after = 0;
        double one = 1.5, two = 0;
        V_AROUND(&in, &out,
                 "ldmxcsr %[mxcsr]\n fninit\n fldl %[one]\n mov $200, %%eax\n syscall\n"
                 "fstpl %[two]\n fninit\n stmxcsr %[after]\n", ,
                 [mxcsr] "m"(mxcsr), [after] "m"(after), [one] "m"(one), [two] "m"(two),
                 "D"(gettid()), "S"(SIGUSR1));
        unsigned usual = 0x1f80;
        __asm__ volatile("ldmxcsr %0" ::"m"(usual));
        SAY("%d: low %s, high %s, x87 %s, mxcsr %x", kind, what_of(out.low, in.low),
            what_of(out.high, in.high), two == 1.5 ? "kept" : "other", after & ~0x3f);
    }
    return 0;
}

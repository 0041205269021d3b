/* The vector state in a signal frame: Linux's format, complete, and what a handler changes there holds
 * when it returns. The handler's own use of the registers is not seen.
 */
#include "vector.h"

static struct vectors seen;
static unsigned first_bytes[2];

static void handler(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    unsigned char *image = v_image(context);
    struct frame_software *software = v_software(context);
    memcpy(first_bytes, image, 2);
    memcpy(first_bytes + 1, image + 24, 4);
    memcpy(seen.low, image + 160, 256);
    IS((software->magic1 == MAGIC1) == v_has_xsave());
    if (software->magic1 == MAGIC1) {
        uint32_t magic2;
        memcpy(&magic2, image + software->state_size, 4);
        IS(magic2 == MAGIC2);
        IS(software->extended_size == software->state_size + 4);
        IS((software->features & 7) == (v_features() & 7));
        IS((v_header(context)->in_use & 3) == 3);
        IS(v_header(context)->compacted == 0);
        IS(((ucontext_t *)context)->uc_flags & 1); /* UC_FP_XSTATE */
    } else {
        for (int i = 0; i < 5; i++) {
            SAY("no extended state");
        }
        IS(!(((ucontext_t *)context)->uc_flags & 1));
    }
    IS(((uintptr_t)image & (v_has_xsave() ? 63 : 15)) == 0);
    if (v_has_avx() && (v_header(context)->in_use & 4)) {
        memcpy(seen.high, image + v_offset(2), 256);
    }
    for (int i = 0; i < 16; i++) {
        image[160 + i * 16] ^= 0xff;
        if (v_has_avx()) {
            image[v_offset(2) + i * 16 + 5] ^= 0x55;
        }
    }
    struct vectors other, ignored;
    v_fill(&other, 77);
    V_AROUND(&other, &ignored, "fninit; fldpi; fldpi; fninit", );
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGUSR1, &action, NULL));
    struct vectors in, out;
    v_fill(&in, 11);
    double one = 1.5, back = 0;
    V_AROUND(&in, &out,
             "fldl %[one]\n mov $200, %%eax\n syscall\n fstpl %[back]\n", , /* tkill */
             [one] "m"(one), [back] "m"(back), "D"(gettid()), "S"(SIGUSR1));
    IS(back == 1.5);
    SAY("control %x, mxcsr %x", first_bytes[0] & 0xffff, first_bytes[1] & ~0x3f);
    IS(memcmp(&seen, &in, sizeof in) == 0);
    for (int i = 0; i < 16; i++) {
        in.low[i][0] ^= 0xff;
        in.high[i][5] ^= v_has_avx() ? 0x55 : 0;
    }
    IS(memcmp(&out, &in, sizeof in) == 0);
    return 0;
}

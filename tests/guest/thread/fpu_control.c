/* MXCSR and the x87 control word belong to a thread, are inherited when it is made, and neither a switch
 * nor a system call nor another thread's change touches them; x87 registers stay, too.
 * @cpu max qemu64
 */
#include <pthread.h>
#include "t.h"

static unsigned mxcsr(void) {
    unsigned value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value & ~0x3fu; /* without the sticky flags */
}
static unsigned control(void) {
    unsigned short value;
    __asm__ volatile("fnstcw %0" : "=m"(value));
    return value;
}
static void set(unsigned m, unsigned short c) {
    __asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(m), "m"(c));
}

static long wrong;

static void *work(void *argument) {
    long own = (long)argument;
    wrong += mxcsr() != 0x7f80 || control() != 0xf7f;
    unsigned m = 0x1f80 | own << 13;
    unsigned short c = 0x37f & ~(own & 1 ? 0x100 : 0x200);
    set(m, c);
    for (int i = 0; i < 2000; i++) {
        double kept = 0, pushed = own * 1.25;
        __asm__ volatile("fldl %1; mov $24, %%eax; syscall; fstpl %0" /* sched_yield */
                         : "=m"(kept)
                         : "m"(pushed)
                         : "rax", "rcx", "r11", "memory");
        wrong += kept != pushed || mxcsr() != m || control() != c;
    }
    return NULL;
}

int main(void) {
    SAY("%x %x", mxcsr(), control());
    set(0x7f80, 0xf7f);
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    SAY("%x %x", mxcsr(), control());
    NUM(wrong);
    return 0;
}

/* A popf that clears the interrupt flag changes nothing: signals and other threads go on. Kiln, where it
 * turns interrupts off, turns them on again: at the next system call, at the next fault, or, when the
 * program only computes, because another CPU has noticed.
 * @smp 2
 */
#include <sys/time.h>
#include "t.h"

static volatile sig_atomic_t signals;

static void handler(int number) {
    (void)number;
    signals++;
}

static void clear_flags(void) {
    __asm__ volatile("sub $256, %%rsp; push $2; popfq; add $256, %%rsp" ::: "cc", "memory");
}
static long flags(void) {
    long value;
    __asm__ volatile("sub $256, %%rsp; pushfq; pop %0; add $256, %%rsp" : "=r"(value)::"cc", "memory");
    return value;
}

int main(void) {
    clear_flags();
    CALL(getppid() >= 0);
    IS(flags() >> 9 & 1);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    clear_flags();
    *page = 1;
    IS(flags() >> 9 & 1);
    t_handle(SIGALRM, handler, 0);
    struct itimerval once = {{0, 0}, {0, 20000}};
    MUST(setitimer(ITIMER_REAL, &once, NULL));
    clear_flags();
    while (signals == 0) {
    }
    NUM(signals);
    return 0;
}

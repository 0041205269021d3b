/* A restartable sequence in which another thread has had the CPU is begun again: also when that came of
 * a page fault in it, which had to wait for the disk. Both threads stay on one CPU; what one reads at the
 * beginning and at the end of a sequence differs only if the other has run in between. */
#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>
#include "t.h"

#define PAGES 1024
#define SPINS 100000000ul

/* Not in memory when the program begins, where it comes from a disk. */
static const unsigned char large[PAGES * 4096] = {[0 ... PAGES * 4096 - 1] = 1};
static volatile uint64_t others;
static volatile int over;

static struct rseq *area(void) {
    return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

enum outcome { whole, torn, begun_again };

/* Reads `others`, then a byte, then counts, then reads `others` again. */
static enum outcome sequence(const volatile unsigned char *byte, uint64_t spins) {
    uint64_t before, after;
    uint32_t aborted;
    __asm__ volatile(
        ".pushsection .data.rel.ro, \"aw\"\n"
        ".balign 32\n"
        "1: .long 0, 0\n"
        ".quad 2f, 3f - 2f, 4f\n"
        ".popsection\n"
        "leaq 1b(%%rip), %%rax\n"
        "movq %%rax, %[section]\n"
        "2: movq %[others], %[before]\n"
        "movzbl (%[byte]), %%eax\n"
        "5: decq %[spins]\n"
        "jns 5b\n"
        "movq %[others], %[after]\n"
        "3: movl $0, %[aborted]\n"
        "jmp 6f\n"
        ".long 0x53053053\n"
        "4: movl $1, %[aborted]\n"
        "6: movq $0, %[section]\n"
        : [before] "=&r"(before), [after] "=&r"(after), [aborted] "=&r"(aborted), [spins] "+&r"(spins),
          [section] "+m"(area()->rseq_cs)
        : [others] "m"(others), [byte] "r"(byte)
        : "rax", "memory", "cc");
    return aborted ? begun_again : before == after ? whole : torn;
}

static void *other(void *unused) {
    while (!over) ++others;
    return unused;
}

int main(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    IS(sched_setaffinity(0, sizeof one, &one) == 0);
    IS(__rseq_size != 0);
    pthread_t thread;
    IS(pthread_create(&thread, NULL, other, NULL) == 0);
    while (others == 0) sched_yield();

    int found[3] = {0, 0, 0};
    for (int page = 0; page < PAGES; page += 16) ++found[sequence(large + page * 4096, 0)];
    IS(found[torn] == 0);
    found[begun_again] = 0;
    for (int i = 0; i < 3; ++i) ++found[sequence(large, SPINS)];
    IS(found[torn] == 0);
    IS(found[begun_again] > 0);
    over = 1;
    IS(pthread_join(thread, NULL) == 0);
    return 0;
}

/* A thread on another CPU sleeps while what it has read is mapped anew, and then a page table
 * elsewhere is given back: when it wakes it sees the new pages, not its old translations.
 * @smp 2
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "t.h"

enum { pages = 64, rounds = 20, page = 4096 };

static char *area;
static atomic_uint turn;
static atomic_int sleeper_tid;

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void wait_for(unsigned value) {
    unsigned seen;
    while ((seen = turn) != value) {
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    }
}

static void give(unsigned value) {
    turn = value;
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Each page its own, and touched in another order each time, because the kernel may give the same
 * pages out again. */
static char content(int round, int i) { return round * pages + i; }

static int count(int round) {
    int found = 0;
    for (int i = 0; i < pages; i++) {
        found += area[i * page] == content(round, i);
    }
    return found;
}

static void *sleeper(void *argument) {
    int *fresh = argument;
    pin(1);
    sleeper_tid = gettid();
    for (int round = 0; round < rounds; round++) {
        wait_for(round * 2 + 1);
        *fresh += count(round);
        give(round * 2 + 2);
    }
    return NULL;
}

/* Until the scheduler says that the thread sleeps. */
static void until_asleep(void) {
    char path[64], line[256] = "";
    while (sleeper_tid == 0) {
        sched_yield();
    }
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", sleeper_tid);
    for (char *state = NULL; state == NULL || state[2] != 'S'; sched_yield()) {
        int fd = open(path, O_RDONLY);
        line[read(fd, line, sizeof line - 1)] = 0;
        close(fd);
        state = strrchr(line, ')');
    }
}

static void fill(int round) {
    mmap(area, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    for (int i = 0; i < pages; i++) {
        int other = (i + round) % pages;
        area[other * page] = content(round, other);
    }
}

/* One page far from all others, which has a page table to itself. */
static void give_back_a_table(void) {
    char *far = area - (1ul << 30);
    mmap(far, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    *far = 1;
    munmap(far, page);
}

int main(void) {
    int fresh = 0;
    pthread_t thread;
    pthread_attr_t small;
    /* In the midst of a mapping that goes on, so that the page table below it stays. */
    size_t whole = 6u << 20, table = 2u << 20;
    char *around = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(around, whole, MADV_NOHUGEPAGE);
    area = (char *)(((uintptr_t)around + table - 1) & -table) + table / 2;
    area[-page] = 1;
    pin(0);
    /* QEMU's emulator forgets all translations at once where large pages are about, as in a large
     * stack: that would hide what is looked for. */
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    pthread_create(&thread, &small, sleeper, &fresh);
    for (int round = 0; round < rounds; round++) {
        until_asleep();
        fill(round);
        give_back_a_table();
        give(round * 2 + 1);
        wait_for(round * 2 + 2);
    }
    pthread_join(thread, NULL);
    NUM(fresh);
    return 0;
}

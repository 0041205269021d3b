/*
 * Areas that are mapped, moved, closed and unmapped while other threads read them: a reader finds
 * what belongs there or nothing, or faults; never another's memory.
 */
#include <setjmp.h>
#include "torture.h"

enum { PAGE = 4096, PAGES = 32, SLOTS = 12, FILES = 2 };
enum { SLOT_BYTES = PAGE * PAGES };
static const long stamp = 0x5707a0000000;

static char *arena;
static pthread_mutex_t slot_locks[SLOTS];
static int file;
static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t reading;
static atomic_long faults;

static char *slot(int number) { return arena + (size_t)number * SLOT_BYTES; }

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    char *at = info->si_addr;
    if (!reading || at < arena || at >= slot(SLOTS)) {
        SAY("stop: signal %d outside of the arena", number);
        _exit(98);
    }
    faults++;
    siglongjmp(back, 1);
}

/* --- those who change. Nobody else maps anything meanwhile: what is unmapped stays empty. --- */

static void fill(int number) {
    for (int page = 0; page < PAGES; page++) {
        *(volatile long *)(slot(number) + page * PAGE) = stamp + page;
    }
}

static void map_fresh(int number) {
    int kind = MAP_FIXED | MAP_ANONYMOUS | (chance(3) == 0 ? MAP_SHARED : MAP_PRIVATE);
    CHECK(mmap(slot(number), SLOT_BYTES, PROT_READ | PROT_WRITE, kind, -1, 0) == slot(number));
    fill(number);
}

/* A file whose pages hold the same. */
static void map_file(int number) {
    int kind = MAP_FIXED | (chance(2) ? MAP_SHARED : MAP_PRIVATE);
    int protection = PROT_READ | (chance(2) ? PROT_WRITE : 0);
    CHECK(mmap(slot(number), SLOT_BYTES, protection, kind, file, 0) == slot(number));
    if (protection & PROT_WRITE) {
        fill(number);
    }
}

static void close_and_open(int number) {
    size_t first = chance(PAGES), count = 1 + chance(PAGES - (uint32_t)first);
    char *at = slot(number) + first * PAGE;
    mprotect(at, count * PAGE, PROT_NONE);
    mprotect(at, count * PAGE, PROT_READ);
}

static void unmap_part(int number) {
    size_t first = chance(PAGES), count = 1 + chance(PAGES - (uint32_t)first);
    CHECK(munmap(slot(number) + first * PAGE, count * PAGE) == 0);
}

static void forget(int number) {
    size_t first = chance(PAGES), count = 1 + chance(PAGES - (uint32_t)first);
    int advice = chance(2) ? MADV_DONTNEED : MADV_WILLNEED;
    madvise(slot(number) + first * PAGE, count * PAGE, advice);
}

/* To another place, where it reads the same. Needs that place for itself too. */
static void move(int number) {
    int to = (number + 1 + (int)chance(SLOTS - 1)) % SLOTS;
    if (pthread_mutex_trylock(&slot_locks[to]) == 0) {
        mremap(slot(number), SLOT_BYTES, SLOT_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, slot(to));
        pthread_mutex_unlock(&slot_locks[to]);
    }
}

static void changer(int self) {
    static void (*const ways[])(int) = {map_fresh, map_fresh, map_file, close_and_open,
                                        unmap_part, forget,   move};
    (void)self;
    int number = chance(SLOTS);
    pthread_mutex_lock(&slot_locks[number]);
    ways[chance(COUNT_OF(ways))](number);
    pthread_mutex_unlock(&slot_locks[number]);
}

/* --- those who look --- */

static bool belongs(long value, int page) { return value == 0 || value == stamp + page; }

static void reader(int self) {
    (void)self;
    int number = chance(SLOTS);
    volatile int page = 0;
    if (sigsetjmp(back, 1) != 0) {
        page++;
    }
    reading = 1;
    for (; page < PAGES; page++) {
        long value = *(volatile long *)(slot(number) + page * PAGE);
        if (!belongs(value, page)) {
            found_wrong(__FILE__, __LINE__, "a page holds what belongs there, or nothing");
        }
    }
    reading = 0;
}

/* The kernel's own reading: it says EFAULT where the program would fault. */
static void asker(int self) {
    static int pipes[2][2];
    (void)self;
    if (!pipes[self][0]) {
        MUST(pipe(pipes[self]));
    }
    int number = chance(SLOTS), page = chance(PAGES);
    long value = 0;
    ssize_t put = write(pipes[self][1], slot(number) + page * PAGE, sizeof value);
    if (put == -1) {
        CHECK(errno == EFAULT);
        return;
    }
    CHECK(put == sizeof value && read(pipes[self][0], &value, sizeof value) == sizeof value);
    /* Who copies may see a part of what is just being written. */
    for (int byte = 0; byte < 64; byte += 8) {
        long part = value >> byte & 0xff;
        CHECK(part == 0 || part == ((stamp + page) >> byte & 0xff));
    }
}

int main(int argc, char **argv) {
    static struct crew crews[] = {{"changers", 3, changer, 0}, {"readers", 3, reader, 0}, {"askers", 2, asker, 0}};
    int seconds = read_arguments(argc, argv);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    MUST(sigaction(SIGSEGV, &action, NULL));
    arena = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    file = MUST(memfd_create("torture", 0));
    MUST(ftruncate(file, SLOT_BYTES));
    for (int number = 0; number < SLOTS; number++) {
        pthread_mutex_init(&slot_locks[number], NULL);
    }
    run_crews(crews, COUNT_OF(crews), seconds, NULL);
    CHECK(faults > 0);
    return conclude(crews, COUNT_OF(crews));
}

/*
 * Memory to the limit: areas, small pieces and files in memory that take nearly all there is, over
 * and over, each with what was put there; and demands that nobody could meet are refused.
 */
#include "torture.h"

enum { PAGE = 4096, PIECES = 64, FILE_PAGES = 256 };

static atomic_long pages_free;

static long available_pages(void) {
    char line[128];
    long kilobytes = 0;
    FILE *facts = fopen("/proc/meminfo", "r");
    while (facts && fgets(line, sizeof line, facts)) {
        if (sscanf(line, "MemAvailable: %ld", &kilobytes) == 1) {
            break;
        }
    }
    fclose(facts);
    return kilobytes / 4;
}

static bool take_pages(long count) {
    if (atomic_fetch_sub(&pages_free, count) >= count) {
        return true;
    }
    pages_free += count;
    t_pause_ms(1);
    return false;
}

/* --- areas --- */

static void fill(uint64_t *area, long pages, uint64_t seed) {
    for (long page = 0; page < pages; page++) {
        for (int word = 0; word < 512; word += 37) {
            area[page * 512 + word] = seed + (uint64_t)(page * 512 + word);
        }
    }
}

static bool holds(const uint64_t *area, long from, long pages, uint64_t seed) {
    for (long page = from; page < pages; page++) {
        for (int word = 0; word < 512; word += 37) {
            uint64_t wanted = seed ? seed + (uint64_t)(page * 512 + word) : 0;
            if (area[page * 512 + word] != wanted) {
                return false;
            }
        }
    }
    return true;
}

static void use_area(long pages, uint64_t seed) {
    uint64_t *area = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!CHECK(area != MAP_FAILED)) {
        return;
    }
    CHECK(holds(area, 0, pages, 0));
    fill(area, pages, seed);
    sched_yield();
    CHECK(holds(area, 0, pages, seed));
    long kept = chance((uint32_t)pages);
    CHECK(madvise((char *)area + kept * PAGE, (size_t)(pages - kept) * PAGE, MADV_DONTNEED) == 0);
    CHECK(holds(area, 0, kept, seed));
    CHECK(holds(area, kept, pages, 0));
    CHECK(munmap(area, (size_t)pages * PAGE) == 0);
}

static void mapper(int self) {
    long pages = 1 + chance(chance(4) ? 200 : 4000);
    if (take_pages(pages)) {
        use_area(pages, (uint64_t)self * 1000003 + chance(1000) + 1);
        pages_free += pages;
    }
}

/* Takes what is left and keeps it for a while: so the others run into the limit. */
static void hoarder(int self) {
    (void)self;
    long pages = pages_free - 2000;
    if (pages < 1) {
        t_pause_ms(1);
        return;
    }
    if (!take_pages(pages)) {
        return;
    }
    use_area(pages, 77);
    pages_free += pages;
}

/* --- small pieces --- */

static void pieces(int self) {
    unsigned char *piece[PIECES] = {0};
    size_t sizes[PIECES];
    /* For good: what is freed may stay with the allocator. */
    static bool taken[2];
    if (!taken[self] && !(taken[self] = take_pages(1000))) {
        return;
    }
    for (int i = 0; i < 4 * PIECES; i++) {
        int at = (int)chance(PIECES);
        if (piece[at]) {
            CHECK(piece[at][0] == (unsigned char)(at + self));
            CHECK(piece[at][sizes[at] - 1] == (unsigned char)(at + self));
            free(piece[at]);
        }
        sizes[at] = 1 + chance(chance(8) ? 500 : 40000);
        piece[at] = malloc(sizes[at]);
        if (CHECK(piece[at] != NULL)) {
            memset(piece[at], at + self, sizes[at]);
        }
    }
    for (int at = 0; at < PIECES; at++) {
        free(piece[at]);
    }
}

/* --- files, which take memory too --- */

static void filer(int self) {
    unsigned char page[PAGE], back[PAGE];
    char name[32];
    if (!take_pages(FILE_PAGES)) {
        return;
    }
    snprintf(name, sizeof name, "file-%d", self);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int number = 0; number < FILE_PAGES; number++) {
        memset(page, number + self, PAGE);
        CHECK(write(fd, page, PAGE) == PAGE);
    }
    for (int number = 0; number < FILE_PAGES; number++) {
        memset(page, number + self, PAGE);
        CHECK(pread(fd, back, PAGE, (off_t)number * PAGE) == PAGE && memcmp(page, back, PAGE) == 0);
    }
    close(fd);
    CHECK(unlink(name) == 0);
    pages_free += FILE_PAGES;
}

/* --- what there can never be --- */

static void asker(int self) {
    (void)self;
    void *map = mmap(NULL, 1ul << 46, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(map == MAP_FAILED && errno == ENOMEM);
    CHECK(malloc(1ul << 46) == NULL);
    t_pause_ms(1);
}

int main(int argc, char **argv) {
    static struct crew crews[] = {{"mappers", 3, mapper, 0}, {"hoarder", 1, hoarder, 0},
                                  {"pieces", 2, pieces, 0},  {"filers", 2, filer, 0},
                                  {"asker", 1, asker, 0}};
    int seconds = read_arguments(argc, argv);
    long most = megabytes * 256, there = available_pages() / 100 * 94;
    pages_free = most < there ? most : there;
    fprintf(stderr, "%ld MiB to use\n", pages_free / 256);
    run_crews(crews, COUNT_OF(crews), seconds, NULL);
    return conclude(crews, COUNT_OF(crews));
}

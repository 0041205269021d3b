/* mremap: shrinking, growing in place or by moving, to a fixed place, refusals. */
#include "t.h"

int main(void) {
    char *map = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(map, "first");
    strcpy(map + 4096, "second");
    IS(mremap(map, 4 * 4096, 2 * 4096, 0) == map);
    char *block = mmap(map + 2 * 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    IS(block == map + 2 * 4096);
    void *grown = mremap(map, 2 * 4096, 8 * 4096, 0);
    SAY("in place: %s", grown == MAP_FAILED ? t_error(errno) : "ok");
    char *moved = mremap(map, 2 * 4096, 8 * 4096, MREMAP_MAYMOVE);
    IS(moved != MAP_FAILED && moved != map);
    SAY("%s %s %d", moved, moved + 4096, moved[7 * 4096]);
    moved[7 * 4096] = 1;
    char *place = mmap(NULL, 16 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *fixed = mremap(moved, 8 * 4096, 8 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, place + 4096);
    IS(fixed == place + 4096);
    SAY("%s %d", fixed, fixed[7 * 4096]);
    errno = 0;
    IS(mremap(fixed, 4096, 4096, MREMAP_FIXED, place) == MAP_FAILED);
    SAY("%s", t_error(errno));
    IS(mremap(fixed + 1, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED);
    SAY("%s", t_error(errno));
    IS(mremap((void *)0x200000000000, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED);
    SAY("%s", t_error(errno));
    IS(mremap(fixed, 4096, 0, MREMAP_MAYMOVE) == MAP_FAILED);
    SAY("%s", t_error(errno));
    IS(mremap(fixed, 4096, 4096, 64) == MAP_FAILED);
    SAY("%s", t_error(errno));
    char *big = malloc(1 << 20);
    memset(big, 'b', 1 << 20);
    big = realloc(big, 64 << 20);
    int wrong = 0;
    for (int i = 0; i < 1 << 20; i++) {
        wrong += big[i] != 'b';
    }
    NUM(wrong);
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    MUST(ftruncate(fd, 3 * 4096));
    MUST(pwrite(fd, "third", 5, 8192));
    char *file = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    file = mremap(file, 4096, 3 * 4096, MREMAP_MAYMOVE);
    SAY("%s", file + 8192);
    return 0;
}

/* Reserved terabytes cost nothing until touched. */
#include "t.h"

int main(void) {
    size_t size = 4ul << 40;
    char *map = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    IS(map != MAP_FAILED);
    CALL(mprotect(map + (3ul << 40), 65536, PROT_READ | PROT_WRITE));
    map[(3ul << 40) + 5000] = 9;
    NUM(map[(3ul << 40) + 5000]);
    char *holes = mmap(NULL, 1ul << 36, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    IS(holes != MAP_FAILED);
    long sum = 0;
    for (size_t at = 0; at < 1ul << 36; at += 1ul << 30) {
        holes[at] = 1;
        sum += holes[at] + holes[at + 4096];
    }
    NUM(sum);
    int64_t begun = t_now_ns();
    CALL(munmap(map, size));
    CALL(munmap(holes, 1ul << 36));
    IS(t_now_ns() - begun < 2000000000);
    return 0;
}

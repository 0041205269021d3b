/* Fresh memory is zero, also after much has been used and given back. */
#include "t.h"

int main(void) {
    long dirty = 0;
    for (int round = 0; round < 6; round++) {
        size_t size = 24 << 20;
        unsigned long *map =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t i = 0; i < size / sizeof *map; i += 61) {
            dirty += map[i] != 0;
            map[i] = i + 1;
        }
        munmap(map, size);
    }
    NUM(dirty);
    return 0;
}

/* mincore tells touched from untouched pages; mlock and munlock with their errors. */
#include "t.h"

int main(void) {
    char *map = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(map, 4 * 4096, MADV_NOHUGEPAGE);
    unsigned char there[4] = {9, 9, 9, 9};
    map[4096] = 1;
    CALL(mincore(map, 4 * 4096, there));
    SAY("%d", there[1] & 1);
    CALL(mincore(map + 1, 4096, there));
    CALL(mincore((void *)0x200000000000, 4096, there));
    CALL(mincore(map, 4096, BAD_POINTER));
    CALL(mlock(map, 8192));
    CALL(munlock(map, 8192));
    CALL(mlock((void *)0x200000000000, 4096));
    CALL(mlockall(77));
    CALL(munlockall());
    return 0;
}

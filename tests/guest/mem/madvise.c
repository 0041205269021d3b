/* madvise: DONTNEED gives zeros or the file back; advice that is only advice; refusals. */
#include "t.h"

int main(void) {
    char *map = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(map, 7, 4 * 4096);
    CALL(madvise(map + 4096, 4096, MADV_DONTNEED));
    SAY("%d %d %d", map[0], map[4096], map[8192]);
    CALL(madvise(map, 4096, MADV_WILLNEED));
    CALL(madvise(map, 4096, MADV_NORMAL));
    CALL(madvise(map, 4096, MADV_SEQUENTIAL));
    CALL(madvise(map, 4096, MADV_RANDOM));
    CALL(madvise(map, 4096, MADV_DONTDUMP));
    CALL(madvise(map, 4096, MADV_DONTFORK));
    CALL(madvise(map, 0, MADV_DONTNEED));
    CALL(madvise(map + 1, 4096, MADV_DONTNEED));
    CALL(madvise(map, 4096, 12345));
    CALL(madvise((void *)0x200000000000, 4096, MADV_DONTNEED));
    CALL(madvise(map, 4096, MADV_FREE));
    map[0] = 3;
    NUM(map[0]);
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    MUST(ftruncate(fd, 8192));
    MUST(pwrite(fd, "file", 4, 0));
    char *file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    memcpy(file, "MINE", 4);
    CALL(madvise(file, 8192, MADV_DONTNEED));
    SAY("%s", file);
    char *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memcpy(shared, "OURS", 4);
    CALL(madvise(shared, 8192, MADV_DONTNEED));
    SAY("%s", shared);
    CALL(madvise(shared, 4096, MADV_REMOVE));
    NUM(shared[0]);
    return 0;
}

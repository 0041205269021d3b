/* The kernel does not write through read-only mappings on the program's behalf. */
#include "t.h"

int main(void) {
    char *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    MUST(write(fd, "12345678", 8));
    CALL(pread(fd, map, 8, 0));
    CALL(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, map));
    CALL(read(fd, (void *)main, 1) + 0);
    CALL(pread(fd, (void *)main, 1, 0));
    struct stat *st = (void *)map;
    CALL(fstat(fd, st));
    NUM(map[0]);
    char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CALL(pwrite(fd, none, 8, 0));
    CALL(pread(fd, none, 8, 0));
    return 0;
}

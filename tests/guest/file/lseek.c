/* lseek: every whence, negative results, holes, and what cannot seek. */
#include "t.h"

int main(void) {
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    CALL(lseek(fd, 10, SEEK_SET));
    CALL(lseek(fd, -3, SEEK_CUR));
    CALL(lseek(fd, -8, SEEK_CUR));
    CALL(lseek(fd, 0, SEEK_CUR));
    CALL(lseek(fd, 5, SEEK_END));
    CALL(lseek(fd, 1, 99));
    CALL(write(fd, "x", 1));
    CALL(lseek(fd, 0, SEEK_END));
    CALL(lseek(fd, 1ll << 40, SEEK_SET));
    CALL(lseek(fd, LLONG_MAX, SEEK_SET));
    CALL(lseek(fd, 1, SEEK_CUR));
    CALL(ftruncate(fd, 1 << 20));
    CALL(pwrite(fd, "y", 1, 600000));
    IS(lseek(fd, 0, SEEK_DATA) <= 5);
    IS(lseek(fd, 300000, SEEK_HOLE) == 300000);
    IS(lseek(fd, 300000, SEEK_DATA) <= 600000 && lseek(fd, 300000, SEEK_DATA) > 590000);
    CALL(lseek(fd, 1 << 20, SEEK_DATA));
    CALL(lseek(fd, 1 << 20, SEEK_HOLE));
    CALL(lseek(fd, 700000, SEEK_DATA));
    int ends[2];
    MUST(pipe(ends));
    CALL(lseek(ends[0], 0, SEEK_SET));
    CALL(lseek(99, 0, SEEK_SET));
    return 0;
}

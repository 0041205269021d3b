/* pread and pwrite leave the offset alone and refuse what they must. */
#include "t.h"

int main(void) {
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    char text[16] = {0};
    CALL(pwrite(fd, "hello", 5, 3));
    CALL(lseek(fd, 0, SEEK_CUR));
    CALL(pread(fd, text, 16, 0));
    IS(memcmp(text, "\0\0\0hello", 8) == 0);
    CALL(pread(fd, text, 16, 8));
    CALL(pread(fd, text, 16, 100));
    CALL(pread(fd, text, 16, -1));
    CALL(pwrite(fd, "x", 1, -5));
    CALL(pread(fd, text, 0, 0));
    CALL(pread(fd, BAD_POINTER, 4, 0));
    CALL(pread(99, text, 1, 0));
    int ends[2];
    MUST(pipe(ends));
    CALL(pread(ends[0], text, 1, 0));
    CALL(pwrite(ends[1], text, 1, 0));
    return 0;
}

/* fallocate: grows, keeps the size, punches holes. */
#include "t.h"

int main(void) {
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    struct stat st;
    CALL(fallocate(fd, 0, 0, 10000));
    fstat(fd, &st);
    NUM(st.st_size);
    CALL(fallocate(fd, FALLOC_FL_KEEP_SIZE, 10000, 10000));
    fstat(fd, &st);
    NUM(st.st_size);
    char page[4096];
    memset(page, 'a', sizeof page);
    CALL(pwrite(fd, page, sizeof page, 0));
    CALL(pwrite(fd, page, sizeof page, 4096));
    CALL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    char byte = 'x';
    CALL(pread(fd, &byte, 1, 10));
    NUM(byte);
    CALL(pread(fd, &byte, 1, 5000));
    NUM(byte);
    CALL(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
    CALL(fallocate(fd, 0, -1, 10));
    CALL(fallocate(fd, 0, 0, 0));
    CALL(fallocate(99, 0, 0, 10));
    RC(posix_fallocate(fd, 0, 20000));
    fstat(fd, &st);
    NUM(st.st_size);
    int ends[2];
    MUST(pipe(ends));
    CALL(fallocate(ends[1], 0, 0, 10));
    return 0;
}

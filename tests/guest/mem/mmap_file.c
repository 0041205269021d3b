/* Mapped files: private changes stay private, shared ones reach the file and other mappings. */
#include "t.h"

int main(void) {
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    MUST(ftruncate(fd, 12288));
    MUST(pwrite(fd, "first", 5, 0));
    MUST(pwrite(fd, "second", 6, 4096));
    char *shared = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *second = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
    char text[16] = {0};
    SAY("%s %s %s", shared, private + 4096, second);
    memcpy(private, "PRIV", 4);
    SAY("%s %s", shared, private);
    memcpy(shared + 4096, "SHARE", 5);
    MUST(pread(fd, text, 6, 4096));
    SAY("%s %s %s", text, private + 4096, second);
    MUST(pwrite(fd, "FILE", 4, 0));
    SAY("%s %s", shared, private);
    MUST(pwrite(fd, "third", 5, 8192));
    SAY("%s %s", shared + 8192, private + 8192);
    CALL(msync(shared, 12288, MS_SYNC));
    CALL(msync(shared, 12288, MS_ASYNC | MS_SYNC));
    CALL(msync(shared + 1, 100, MS_SYNC));
    CALL(close(fd));
    SAY("%s", second);
    CALL(munmap(shared, 4096));
    SAY("%s", shared + 4096);
    CALL(munmap(shared + 1, 4096));
    CALL(munmap(shared, 0));
    CALL(munmap((void *)0x200000000000, 4096));
    return 0;
}

/* /dev/null, zero and full: reads, writes, seeks, mappings. */
#include "t.h"

int main(void) {
    char text[16];
    int null = MUST(open("/dev/null", O_RDWR));
    CALL(read(null, text, 16));
    CALL(write(null, text, 16));
    CALL(lseek(null, 5, SEEK_SET));
    CALL(ftruncate(null, 0));
    int zero = MUST(open("/dev/zero", O_RDWR));
    memset(text, 1, sizeof text);
    CALL(read(zero, text, 16));
    NUM(text[0] | text[15]);
    CALL(write(zero, text, 16));
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    IS(map != MAP_FAILED);
    NUM(map[5000]);
    map[5000] = 1;
    int full = MUST(open("/dev/full", O_RDWR));
    memset(text, 1, sizeof text);
    CALL(read(full, text, 16));
    NUM(text[3]);
    CALL(write(full, text, 1));
    CALL(write(null, BAD_POINTER, 8));
    CALL(read(zero, BAD_POINTER, 8));
    OK(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0644));
    CALL(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, null, 0) == MAP_FAILED);
    return 0;
}

/* Past the end of a file within its last page there are zeros; beyond that page SIGBUS. */
#include <setjmp.h>
#include "t.h"

static sigjmp_buf back;

static void handler(int number) {
    siglongjmp(back, number);
}

int main(void) {
    t_handle(SIGBUS, handler, 0);
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    MUST(write(fd, "abcdef", 6));
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NUM(map[6]);
    NUM(map[4095]);
    map[10] = 'x';
    int number = sigsetjmp(back, 1);
    if (!number) {
        NUM(map[4096]);
    }
    SAY("signal %d", number);
    MUST(ftruncate(fd, 8192));
    NUM(map[4096]);
    map[4096] = 'y';
    char c;
    MUST(pread(fd, &c, 1, 4096));
    SAY("%c", c);
    MUST(ftruncate(fd, 3));
    MUST(ftruncate(fd, 100));
    NUM(map[4]);
    NUM(map[10]);
    number = sigsetjmp(back, 1);
    if (!number) {
        map[4096] = 1;
    }
    SAY("signal %d", number);
    CALL(write(MUST(open("/dev/null", O_WRONLY)), map + 4096, 1) == 1);
    int ends[2];
    MUST(pipe(ends));
    CALL(write(ends[1], map + 4096, 1));
    return 0;
}

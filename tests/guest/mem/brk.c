/* The program break moves up and down; new memory is zero; impossible breaks change nothing. */
#include "t.h"

int main(void) {
    char *start = sbrk(0);
    IS(sbrk(100000) == start);
    int dirty = 0;
    for (int i = 0; i < 100000; i++) {
        dirty += start[i] != 0;
        start[i] = 1;
    }
    NUM(dirty);
    IS(sbrk(-50000) == start + 100000);
    CALL(brk(start));
    IS(sbrk(0) == start);
    IS(sbrk(100000) == start);
    dirty = 0;
    for (int i = 8192; i < 100000; i++) {
        dirty += start[i] != 0;
    }
    NUM(dirty);
    CALL(brk((void *)0x7fffffffe000));
    char *now = (char *)syscall(SYS_brk, 0);
    IS((char *)syscall(SYS_brk, 1) == now);
    IS((char *)syscall(SYS_brk, now + 5) == now + 5);
    IS((char *)syscall(SYS_brk, now) == now);
    return 0;
}

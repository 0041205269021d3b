/* Unmapping the middle leaves both sides; mapping over replaces; neighbours keep their data. */
#include <setjmp.h>
#include "t.h"

static sigjmp_buf back;

static void handler(int number) {
    siglongjmp(back, number);
}

static void look(const char *what, char *at) {
    int number = sigsetjmp(back, 1);
    if (!number) {
        SAY("%s: %d", what, *(volatile char *)at);
    } else {
        SAY("%s: signal %d", what, number);
    }
}

int main(void) {
    t_handle(SIGSEGV, handler, 0);
    char *map = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 16; i++) {
        map[i * 4096] = i + 1;
    }
    CALL(munmap(map + 4 * 4096, 4 * 4096));
    look("before", map + 3 * 4096);
    look("hole", map + 4 * 4096);
    look("hole's end", map + 7 * 4096);
    look("after", map + 8 * 4096);
    char *over = mmap(map + 2 * 4096, 8 * 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    IS(over == map + 2 * 4096);
    look("kept", map + 1 * 4096);
    look("new", map + 3 * 4096);
    look("new end", map + 9 * 4096);
    look("kept after", map + 10 * 4096);
    CALL(munmap(map, 16 * 4096));
    look("gone", map);
    CALL(munmap(map, 16 * 4096));
    return 0;
}

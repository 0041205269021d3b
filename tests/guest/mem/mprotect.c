/* mprotect splits and joins mappings; what it refuses. */
#include <setjmp.h>
#include "t.h"

static sigjmp_buf back;

static void handler(int number) {
    siglongjmp(back, number);
}

static void store(char *at) {
    int number = sigsetjmp(back, 1);
    if (!number) {
        *(volatile char *)at = 5;
    }
    SAY("store: %s", number ? "fault" : "ok");
}

int main(void) {
    t_handle(SIGSEGV, handler, 0);
    char *map = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(map, 1, 4 * 4096);
    CALL(mprotect(map + 4096, 4096, PROT_READ));
    store(map);
    store(map + 4096);
    store(map + 8192);
    NUM(map[4096]);
    CALL(mprotect(map, 4 * 4096, PROT_READ | PROT_WRITE));
    store(map + 4096);
    CALL(mprotect(map, 4096, PROT_NONE));
    store(map);
    CALL(mprotect(map, 4096, PROT_READ));
    NUM(map[0]);
    CALL(mprotect(map + 1, 4096, PROT_READ));
    CALL(mprotect(map, 0, PROT_READ));
    CALL(mprotect(map, 4096, 0x100));
    munmap(map + 8192, 4096);
    CALL(mprotect(map, 4 * 4096, PROT_READ));
    store(map + 4096);
    store(map + 3 * 4096);
    t_put("f", "text");
    int fd = MUST(open("f", O_RDONLY));
    char *file = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CALL(mprotect(file, 4096, PROT_READ | PROT_WRITE));
    char *copy = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    CALL(mprotect(copy, 4096, PROT_READ | PROT_WRITE));
    store(copy);
    char text[5] = {0};
    pread(fd, text, 4, 0);
    SAY("%s", text);
    CALL(mprotect((void *)0x200000000000, 4096, PROT_READ));
    return 0;
}

/* SIGSEGV says address and reason, for absent and for forbidden memory. */
#include <setjmp.h>
#include "t.h"

static sigjmp_buf back;
static char *wanted;

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    SAY("%s code %d address as expected: %d", number == SIGSEGV ? "segv" : "bus", info->si_code,
        (char *)info->si_addr == wanted);
    siglongjmp(back, 1);
}

static void touch(char *where, int writing) {
    wanted = where;
    if (sigsetjmp(back, 1) == 0) {
        if (writing) {
            *(volatile char *)where = 1;
        } else {
            (void)*(volatile char *)where;
        }
        SAY("no fault");
    }
}

int main(void) {
    struct sigaction action = {0};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    MUST(sigaction(SIGSEGV, &action, NULL));
    MUST(sigaction(SIGBUS, &action, NULL));
    touch((char *)8, 0);
    touch((char *)8, 1);
    char *map = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    touch(map, 0);
    touch(map + 5000, 1);
    mprotect(map, 4096, PROT_NONE);
    touch(map, 0);
    munmap(map, 8192);
    touch(map, 0);
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    MUST(ftruncate(fd, 100));
    map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    touch(map + 200, 1);
    touch(map + 4096, 0);
    touch((char *)main, 1);
    return 0;
}

/* One thread takes memory away while another uses it: the faults are signals and nothing else. */
#include <pthread.h>
#include <setjmp.h>
#include "t.h"

static char *map;
static volatile int done;
static __thread sigjmp_buf back;

static void handler(int number) {
    siglongjmp(back, number);
}

static void *user(void *unused) {
    volatile int faults = 0;
    while (!done) {
        if (sigsetjmp(back, 1) == 0) {
            for (int i = 0; i < 8; i++) {
                ((volatile char *)map)[i * 4096] = i;
            }
        } else {
            faults++;
        }
    }
    return unused;
}

int main(void) {
    t_handle(SIGSEGV, handler, 0);
    map = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, user, NULL);
    int wrong = 0;
    for (int i = 0; i < 500; i++) {
        wrong += mprotect(map, 8 * 4096, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ) != 0;
        wrong += munmap(map + (i % 8) * 4096, 4096) != 0;
        wrong += mmap(map + (i % 8) * 4096, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED;
    }
    done = 1;
    RC(pthread_join(thread, NULL));
    NUM(wrong);
    return 0;
}

/* The stack at the program's start and in new threads and handlers is aligned by 16. */
#include <pthread.h>
#include "t.h"

static void aligned(const char *where) {
    volatile __attribute__((aligned(16))) char block[16];
    register unsigned long rsp __asm__("rsp");
    SAY("%s %d %d", where, (int)((uintptr_t)block & 15), (int)(rsp & 7));
}

static void handler(int number) {
    (void)number;
    aligned("handler");
}

static void *work(void *unused) {
    aligned("thread");
    return unused;
}

int main(void) {
    aligned("main");
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
    t_handle(SIGUSR1, handler, 0);
    raise(SIGUSR1);
    return 0;
}

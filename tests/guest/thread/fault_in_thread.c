/* A fault in one thread without a handler ends the whole program. */
#include <pthread.h>
#include "t.h"

static void *work(void *unused) {
    t_pause_ms(20);
    *(volatile int *)BAD_POINTER = 1;
    return unused;
}

int main(void) {
    pthread_t thread;
    SAY("waiting");
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
    SAY("not reached");
    return 0;
}

/* The main thread may end by pthread_exit; the program ends with the last thread, status 0. */
#include <pthread.h>
#include "t.h"

static void *work(void *unused) {
    t_pause_ms(50);
    SAY("still here");
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    SAY("main leaves");
    pthread_exit(NULL);
}

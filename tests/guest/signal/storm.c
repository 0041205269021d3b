/* A thousand signals from another thread are all taken, with work going on between them. */
#include <pthread.h>
#include "t.h"

static volatile sig_atomic_t taken;
static pthread_t target;

static void handler(int number) {
    (void)number;
    taken++;
}

static void *sender(void *unused) {
    for (int i = 0; i < 1000; i++) {
        int before = taken;
        pthread_kill(target, SIGUSR1);
        while (taken == before) {
            sched_yield();
        }
    }
    return unused;
}

int main(void) {
    t_handle(SIGUSR1, handler, 0);
    target = pthread_self();
    pthread_t thread;
    pthread_create(&thread, NULL, sender, NULL);
    unsigned long sum = 0;
    while (taken < 1000) {
        sum = sum * 6364136223846793005ul + 1;
    }
    RC(pthread_join(thread, NULL));
    NUM(taken);
    return sum == 0;
}

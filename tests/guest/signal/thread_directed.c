/* Signals to a thread run there, those to the process on a thread that does not block them. */
#include <pthread.h>
#include "t.h"

static pthread_t other;
static pthread_barrier_t barrier;
static volatile sig_atomic_t on_other, on_main;

static void handler(int number) {
    (void)number;
    if (pthread_equal(pthread_self(), other)) {
        on_other++;
    } else {
        on_main++;
    }
}

static void *work(void *unused) {
    pthread_barrier_wait(&barrier);
    while (on_other < 2) {
        t_pause_ms(1);
    }
    return unused;
}

int main(void) {
    t_handle(SIGUSR1, handler, SA_RESTART);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&other, NULL, work, NULL);
    pthread_barrier_wait(&barrier);
    RC(pthread_kill(other, SIGUSR1));
    while (on_other < 1) {
        t_pause_ms(1);
    }
    NUM(on_main);
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    RC(pthread_sigmask(SIG_BLOCK, &block, NULL));
    CALL(kill(getpid(), SIGUSR1));
    RC(pthread_join(other, NULL));
    NUM(on_main);
    NUM(on_other);
    CALL(raise(SIGUSR1));
    NUM(on_main);
    RC(pthread_sigmask(SIG_UNBLOCK, &block, NULL));
    NUM(on_main);
    return 0;
}

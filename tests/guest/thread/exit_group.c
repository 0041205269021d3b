/* exit from one thread ends all others, wherever they wait or run, with its status. */
#include <pthread.h>
#include <sys/epoll.h>
#include "t.h"

static void *sleeping(void *unused) {
    t_pause_ms(1000000);
    return unused;
}

static void *spinning(void *unused) {
    for (;;) {
    }
    return unused;
}

static void *waiting(void *unused) {
    struct epoll_event event;
    epoll_wait(epoll_create1(0), &event, 1, -1);
    return unused;
}

static void *leaving(void *unused) {
    t_pause_ms(20);
    SAY("leaving");
    exit(23);
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, sleeping, NULL);
    pthread_create(&thread, NULL, spinning, NULL);
    pthread_create(&thread, NULL, waiting, NULL);
    pthread_create(&thread, NULL, leaving, NULL);
    pthread_join(thread, NULL);
    SAY("not reached");
    return 0;
}

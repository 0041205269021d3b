/* Cancellation: at a blocking read, asynchronously in a loop, disabled, with clean-up handlers. */
#include <pthread.h>
#include "t.h"

static int ends[2];
static volatile int started, cancelled, cleaned;

static void clean(void *unused) {
    (void)unused;
    cleaned++;
}

static void *reading(void *unused) {
    char c;
    pthread_cleanup_push(clean, NULL);
    started = 1;
    read(ends[0], &c, 1);
    pthread_cleanup_pop(0);
    return unused;
}

static void *spinning(void *unused) {
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    started = 1;
    for (;;) {
    }
    return unused;
}

static void *refusing(void *unused) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    started = 1;
    while (!cancelled) {
        t_pause_ms(1);
    }
    cleaned = 7;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    cleaned = 99;
    return unused;
}

static void attempt(const char *what, void *(*body)(void *)) {
    pthread_t thread;
    void *result;
    started = cancelled = cleaned = 0;
    pthread_create(&thread, NULL, body, NULL);
    while (!started) {
        sched_yield();
    }
    RC(pthread_cancel(thread));
    cancelled = 1;
    RC(pthread_join(thread, &result));
    SAY("%s cancelled: %d, cleaned: %d", what, result == PTHREAD_CANCELED, cleaned);
}

int main(void) {
    MUST(pipe(ends));
    attempt("reading", reading);
    attempt("spinning", spinning);
    attempt("refusing", refusing);
    return 0;
}

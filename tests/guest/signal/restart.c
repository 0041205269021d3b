/* SA_RESTART: read, wait on a lock and accept go on after a handler, without it they are EINTR. */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "t.h"

static int ends[2];
static pthread_t main_thread;
static volatile sig_atomic_t count;

static void handler(int number) {
    (void)number;
    count++;
}

static void *poke(void *text) {
    t_pause_ms(30);
    pthread_kill(main_thread, SIGUSR1);
    t_pause_ms(30);
    if (text) {
        write(ends[1], text, strlen(text));
    }
    return NULL;
}

static void attempt(int flags, char *text) {
    pthread_t thread;
    char got[8] = {0};
    t_handle(SIGUSR1, handler, flags);
    pthread_create(&thread, NULL, poke, text);
    CALL(read(ends[0], got, sizeof got));
    SAY("got '%s' after %d signals", got, (int)count);
    pthread_join(thread, NULL);
}

int main(void) {
    main_thread = pthread_self();
    MUST(pipe(ends));
    attempt(0, NULL);
    attempt(SA_RESTART, "text");
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    attempt(0, NULL);
    attempt(SA_RESTART, "more");
    struct timeval limit = {5, 0};
    MUST(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    attempt(SA_RESTART, NULL);
    struct timespec nap = {0, 60000000}, left = {0, 0};
    pthread_t thread;
    pthread_create(&thread, NULL, poke, NULL);
    CALL(nanosleep(&nap, &left));
    IS(left.tv_nsec > 0 && left.tv_nsec < 60000000);
    pthread_join(thread, NULL);
    return 0;
}

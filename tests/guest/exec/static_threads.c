/* A static program with threads, thread-local data and signals.
 * @build static
 * @smp 1 2
 */
#include <pthread.h>
#include "t.h"

static __thread int own = 3;
static long sum;

static void *work(void *argument) {
    own += (int)(long)argument;
    __atomic_fetch_add(&sum, own, __ATOMIC_SEQ_CST);
    return NULL;
}

static void handler(int number) {
    SAY("signal %d", number);
}

int main(void) {
    pthread_t threads[8];
    for (long i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(sum);
    t_handle(SIGUSR1, handler, 0);
    raise(SIGUSR1);
    SAY("%.3f", 1.0 / own);
    return 0;
}

/* musl: threads, condition variables, formatted output, files, time.
 * @build musl
 * @smp 1 2
 */
#include <pthread.h>
#include "t.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;

static void *work(void *argument) {
    int own = (int)(long)argument;
    for (int i = 0; i < 3; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % 3 != own) {
            pthread_cond_wait(&cond, &mutex);
        }
        SAY("turn %d of thread %d", turn, own);
        turn++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[3];
    for (long i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    t_put("f", "by musl");
    t_show("f");
    SAY("%08.3f %s", 3.14159, "formatted");
    IS(time(NULL) > 1600000000);
    return 5;
}

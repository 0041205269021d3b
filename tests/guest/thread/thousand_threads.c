/* Five hundred threads at once, each with a small stack, all meeting at a barrier. */
#include <pthread.h>
#include "t.h"

enum { count = 500 };
static pthread_barrier_t barrier;

static void *work(void *unused) {
    pthread_barrier_wait(&barrier);
    return unused;
}

int main(void) {
    static pthread_t threads[count];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    pthread_barrier_init(&barrier, NULL, count);
    int failed = 0;
    for (int i = 0; i < count; i++) {
        failed += pthread_create(&threads[i], &attributes, work, NULL) != 0;
    }
    NUM(failed);
    for (int i = 0; i < count; i++) {
        failed += pthread_join(threads[i], NULL) != 0;
    }
    NUM(failed);
    return 0;
}

/* A static position-independent program: relocation, threads, large allocations.
 * @build static-pie
 */
#include <pthread.h>
#include "t.h"

static const char *const words[] = {"relocated", "pointers", "work"};

static void *work(void *argument) {
    char *block = malloc(3 << 20);
    memset(block, (int)(long)argument, 3 << 20);
    long last = block[(3 << 20) - 1];
    free(block);
    return (void *)last;
}

int main(void) {
    for (int i = 0; i < 3; i++) {
        SAY("%s", words[i]);
    }
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        NUM((long)result);
    }
    return 0;
}

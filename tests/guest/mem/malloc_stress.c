/* malloc from several threads with checks of every block. */
#include <pthread.h>
#include "t.h"

static void *work(void *argument) {
    unsigned long state = (unsigned long)argument * 7919 + 1;
    static __thread struct {
        unsigned char *at;
        size_t size;
        unsigned char mark;
    } blocks[64];
    long wrong = 0;
    for (int i = 0; i < 20000; i++) {
        state = state * 6364136223846793005ul + 1442695040888963407ul;
        int k = state >> 58;
        if (blocks[k].at) {
            wrong += blocks[k].at[0] != blocks[k].mark ||
                     blocks[k].at[blocks[k].size - 1] != blocks[k].mark;
            free(blocks[k].at);
        }
        blocks[k].size = 1 + (state >> 20) % (i % 100 == 0 ? 300000 : 2000);
        blocks[k].at = malloc(blocks[k].size);
        blocks[k].mark = state >> 40;
        memset(blocks[k].at, blocks[k].mark, blocks[k].size);
    }
    return (void *)wrong;
}

int main(void) {
    pthread_t threads[4];
    long wrong = 0;
    for (long i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (long)result;
    }
    NUM(wrong);
    return 0;
}

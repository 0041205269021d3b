/* Threads that map, write, protect and unmap at once keep out of each other's memory. */
#include <pthread.h>
#include "t.h"

static int wrong;

static void *work(void *argument) {
    long own = (long)argument;
    for (int round = 0; round < 300; round++) {
        size_t pages = 1 + (round * 7 + own) % 9;
        long *map = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t i = 0; i < pages; i++) {
            wrong += map[i * 512] != 0;
            map[i * 512] = own * 1000 + round;
        }
        mprotect(map, 4096, PROT_READ);
        for (size_t i = 0; i < pages; i++) {
            wrong += map[i * 512] != own * 1000 + round;
        }
        munmap(map, pages * 4096);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    NUM(wrong);
    return 0;
}

/* Threads that touch the same fresh pages at once all see one page each. */
#include <pthread.h>
#include "t.h"

enum { threads = 4, pages = 2000 };
static unsigned char *map;
static pthread_barrier_t barrier;

static void *work(void *argument) {
    long own = (long)argument;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < pages; i++) {
        map[i * 4096 + own] = own + 1;
    }
    return NULL;
}

int main(void) {
    int fd = MUST(memfd_create("m", 0));
    MUST(ftruncate(fd, pages * 4096));
    for (int kind = 0; kind < 3; kind++) {
        int flags = kind == 0 ? MAP_PRIVATE | MAP_ANONYMOUS : kind == 1 ? MAP_SHARED : MAP_PRIVATE;
        map = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, flags, kind ? fd : -1, 0);
        pthread_barrier_init(&barrier, NULL, threads);
        pthread_t all[threads];
        for (long i = 0; i < threads; i++) {
            pthread_create(&all[i], NULL, work, (void *)i);
        }
        for (int i = 0; i < threads; i++) {
            pthread_join(all[i], NULL);
        }
        int lost = 0;
        for (int i = 0; i < pages; i++) {
            for (int k = 0; k < threads; k++) {
                lost += map[i * 4096 + k] != k + 1;
            }
        }
        SAY("kind %d lost %d", kind, lost);
        munmap(map, pages * 4096);
    }
    return 0;
}

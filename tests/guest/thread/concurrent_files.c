/* Threads that create, write, read, rename and remove files in one folder at once. */
#include <pthread.h>
#include "t.h"

static long wrong;

static void *work(void *argument) {
    long own = (long)argument;
    char name[32], other[32], text[32];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "file-%ld-%d", own, i % 7);
        snprintf(other, sizeof other, "other-%ld-%d", own, i % 5);
        int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0644);
        int size = snprintf(text, sizeof text, "text %ld %d", own, i);
        char back[32] = {0};
        if (fd < 0 || write(fd, text, size) != size || rename(name, other) ||
            pread(fd, back, sizeof back, 0) != size || strcmp(text, back) || close(fd) ||
            (i % 3 == 0 && unlink(other))) {
            __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
        }
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

/* A thread that blocks in reading an eventfd is woken by the write, and a blocked writer too. */
#include <pthread.h>
#include <sys/eventfd.h>
#include "t.h"

static int fd;

static void *reader(void *unused) {
    uint64_t value, sum = 0;
    while (sum < 5050) {
        MUST(read(fd, &value, 8));
        sum += value;
    }
    SAY("sum %llu", (unsigned long long)sum);
    return unused;
}

static void *drain(void *unused) {
    uint64_t value;
    t_pause_ms(30);
    MUST(read(fd, &value, 8));
    (void)unused;
    return value == UINT64_MAX - 1 ? "all" : "wrong";
}

int main(void) {
    fd = MUST(eventfd(0, 0));
    pthread_t thread;
    pthread_create(&thread, NULL, reader, NULL);
    for (uint64_t i = 1; i <= 100; i++) {
        MUST(write(fd, &i, 8));
    }
    RC(pthread_join(thread, NULL));
    uint64_t most = UINT64_MAX - 1, one = 1;
    MUST(write(fd, &most, 8));
    pthread_create(&thread, NULL, drain, NULL);
    void *drained;
    CALL(write(fd, &one, 8));
    RC(pthread_join(thread, &drained));
    SAY("drained %s", (char *)drained);
    return 0;
}

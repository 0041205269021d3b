/* Two threads splice between the same two pipes, each the other way: no byte is lost, nobody is stuck.
 * @smp 1 2
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include "t.h"

enum { BYTES = 6000, ROUNDS = 3000 };

static int a[2], b[2];

struct way {
    int from, to;
};

static void *carry(void *given) {
    const struct way *way = given;
    long moved = 0;
    for (int i = 0; i < ROUNDS; ++i) {
        ssize_t count = splice(way->from, NULL, way->to, NULL, (size_t)(1 + i % 700), 2);
        moved += count > 0 ? count : 0;
    }
    return (void *)moved;
}

/* What tee copies is thrown away again. */
static void *look(void *unused) {
    int copy[2];
    char text[4096];
    MUST(pipe2(copy, O_NONBLOCK));
    for (int i = 0; i < ROUNDS; ++i) {
        tee(a[0], copy[1], 300, 2);
        while (read(copy[0], text, sizeof text) > 0) {
        }
    }
    return unused;
}

static int held(int fd) {
    int bytes = -1;
    ioctl(fd, FIONREAD, &bytes);
    return bytes;
}

int main(void) {
    static char block[BYTES];
    pthread_t threads[3];
    MUST(pipe(a));
    MUST(pipe(b));
    for (int i = 0; i < BYTES; ++i) {
        block[i] = (char)(i % 251);
    }
    MUST(write(a[1], block, BYTES));
    struct way there = {a[0], b[1]}, back = {b[0], a[1]};
    pthread_create(&threads[0], NULL, carry, &there);
    pthread_create(&threads[1], NULL, carry, &back);
    pthread_create(&threads[2], NULL, look, NULL);
    void *moved[3];
    for (int i = 0; i < 3; ++i) {
        pthread_join(threads[i], &moved[i]);
    }
    IS((long)moved[0] > 0);
    NUM(held(a[0]) + held(b[0]));
    NUM((long)moved[0] - (long)moved[1] == held(b[0]));
    unsigned sum = 0, expected = 0;
    for (int i = 0; i < BYTES; ++i) {
        expected += (unsigned char)block[i];
    }
    fcntl(a[0], F_SETFL, O_NONBLOCK);
    fcntl(b[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 2; ++i) {
        ssize_t got;
        while ((got = read(i == 0 ? a[0] : b[0], block, sizeof block)) > 0) {
            for (ssize_t at = 0; at < got; ++at) {
                sum += (unsigned char)block[at];
            }
        }
    }
    IS(sum == expected);
    return 0;
}

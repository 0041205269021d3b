/* A megabyte through a pipe between two threads arrives whole and in order. */
#include <pthread.h>
#include "t.h"

enum { total = 1 << 20 };
static int ends[2];

static void *writer(void *unused) {
    unsigned char block[3001];
    long sent = 0;
    while (sent < total) {
        long want = total - sent < 3001 ? total - sent : 3001;
        for (long i = 0; i < want; i++) {
            block[i] = (sent + i) * 7;
        }
        sent += write(ends[1], block, want);
    }
    close(ends[1]);
    return unused;
}

int main(void) {
    pthread_t thread;
    MUST(pipe(ends));
    RC(pthread_create(&thread, NULL, writer, NULL));
    unsigned char block[777];
    long seen = 0, wrong = 0;
    ssize_t got;
    while ((got = read(ends[0], block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < got; i++, seen++) {
            wrong += block[i] != (unsigned char)(seen * 7);
        }
    }
    NUM(seen);
    NUM(wrong);
    RC(pthread_join(thread, NULL));
    return 0;
}

/* Eight megabytes each way at once between two threads, checked byte for byte. */
#include <pthread.h>
#include "net.h"

enum { total = 8 << 20 };
static int s[2];

static void *sender(void *argument) {
    int side = (int)(long)argument;
    static __thread unsigned char block[20011];
    long sent = 0;
    while (sent < total) {
        long want = total - sent < 20011 ? total - sent : 20011;
        for (long i = 0; i < want; i++) {
            block[i] = (sent + i) * 13 + (sent + i) / 4096 + side;
        }
        long done = 0;
        while (done < want) {
            ssize_t got = write(s[side], block + done, want - done);
            if (got <= 0) {
                return (void *)1;
            }
            done += got;
        }
        sent += want;
    }
    shutdown(s[side], SHUT_WR);
    return NULL;
}

static void *receiver(void *argument) {
    int side = (int)(long)argument;
    static __thread unsigned char block[17011];
    long seen = 0, wrong = 0;
    ssize_t got;
    while ((got = read(s[side], block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < got; i++, seen++) {
            wrong += block[i] != (unsigned char)(seen * 13 + seen / 4096 + !side);
        }
    }
    return (void *)(wrong + (seen != total));
}

int main(void) {
    n_pair(s);
    pthread_t threads[4];
    long wrong = 0;
    for (long side = 0; side < 2; side++) {
        pthread_create(&threads[side], NULL, sender, (void *)side);
        pthread_create(&threads[2 + side], NULL, receiver, (void *)side);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (long)result;
    }
    NUM(wrong);
    return 0;
}

/* A listener with little room to receive: what comes in goes on at once, not at a timer's pace. */
#include <pthread.h>
#include "net.h"

enum { BYTES = 256 * 1024, LEAST_TIME_OF_TIMERS = 5 };

static void *send_all(void *argument) {
    static char bytes[BYTES];
    int fd = *(int *)argument;
    for (size_t done = 0; done < BYTES;) {
        done += (size_t)MUST(write(fd, bytes + done, BYTES - done));
    }
    close(fd);
    return NULL;
}

static size_t receive_all(int fd) {
    static char bytes[16384];
    size_t sum = 0;
    for (ssize_t got; (got = MUST(read(fd, bytes, sizeof bytes))) > 0;) {
        sum += (size_t)got;
    }
    return sum;
}

static void transfer(const char *what, int room, int own_room) {
    int listener = n_listener(), out = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof room));
    MUST(n_connect(out, n_port(listener)));
    MUST(setsockopt(out, SOL_SOCKET, SO_SNDBUF, &own_room, sizeof own_room));
    int in = MUST(accept(listener, NULL, NULL));
    pthread_t sender;
    int64_t begun = t_now_ns();
    MUST(-pthread_create(&sender, NULL, send_all, &out));
    SAY("%s: %zu bytes", what, receive_all(in));
    pthread_join(sender, NULL);
    IS(t_now_ns() - begun < LEAST_TIME_OF_TIMERS * 1000000000ll);
    close(in);
    close(listener);
}

int main(void) {
    transfer("4 KiB to receive", 4096, 65536);
    transfer("4 KiB to receive and to send", 4096, 4096);
    transfer("8 KiB to receive", 8192, 65536);
    return 0;
}

/* Two hundred connections to one listener by epoll, each echoing what it gets. */
#include <pthread.h>
#include <sys/epoll.h>
#include "net.h"

enum { count = 200 };
static int port;

static void *clients(void *unused) {
    static int fds[count];
    long wrong = 0;
    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        wrong += n_connect(fds[i], port) != 0;
    }
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < count; i++) {
            int value = i * 100 + round;
            wrong += write(fds[i], &value, 4) != 4;
        }
        for (int i = 0; i < count; i++) {
            int value = 0;
            wrong += recv(fds[i], &value, 4, MSG_WAITALL) != 4 || value != i * 100 + round;
        }
    }
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    (void)unused;
    return (void *)wrong;
}

int main(void) {
    int listener = n_listener(), ep = MUST(epoll_create1(0));
    fcntl(listener, F_SETFL, O_NONBLOCK);
    port = n_port(listener);
    struct epoll_event add = {EPOLLIN, {.fd = listener}}, events[32];
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, listener, &add));
    pthread_t thread;
    pthread_create(&thread, NULL, clients, NULL);
    int opened = 0, closed = 0;
    while (closed < count) {
        int n = MUST(epoll_wait(ep, events, 32, 20000));
        if (n == 0) {
            break;
        }
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int one;
                while ((one = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    add.data.fd = one;
                    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, one, &add));
                    opened++;
                }
                continue;
            }
            char text[64];
            ssize_t got = read(fd, text, sizeof text);
            if (got > 0) {
                write(fd, text, got);
            } else if (got == 0) {
                close(fd);
                closed++;
            }
        }
    }
    NUM(opened);
    NUM(closed);
    void *wrong;
    pthread_join(thread, &wrong);
    NUM((long)wrong);
    return 0;
}

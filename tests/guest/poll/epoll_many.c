/* A thousand descriptors: each event is delivered once a round and fairly. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include "t.h"

enum { count = 1000 };

int main(void) {
    struct rlimit limit = {2048, 4096};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    int ep = MUST(epoll_create1(0));
    static int fds[count];
    static int seen[count];
    for (int i = 0; i < count; i++) {
        struct epoll_event in = {EPOLLIN, {.u32 = i}};
        fds[i] = MUST(eventfd(i % 3 == 0, EFD_NONBLOCK));
        MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &in));
    }
    struct epoll_event events[64];
    int rounds = 0;
    while (rounds < 20) {
        int n = MUST(epoll_wait(ep, events, 64, 0));
        for (int i = 0; i < n; i++) {
            seen[events[i].data.u32]++;
        }
        rounds++;
    }
    int missed = 0, wrong = 0;
    for (int i = 0; i < count; i++) {
        missed += i % 3 == 0 && !seen[i];
        wrong += i % 3 != 0 && seen[i];
    }
    NUM(missed);
    NUM(wrong);
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    CALL(epoll_wait(ep, events, 64, 0));
    return 0;
}

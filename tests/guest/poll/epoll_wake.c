/* A thread in epoll_wait is woken by events of other threads, also for descriptors added later. */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "t.h"

static int ep, first, second;

static void *giver(void *unused) {
    t_pause_ms(30);
    eventfd_write(first, 1);
    return unused;
}

static void *adder(void *unused) {
    struct epoll_event in = {EPOLLIN, {.u64 = 2}};
    t_pause_ms(30);
    epoll_ctl(ep, EPOLL_CTL_ADD, second, &in);
    return unused;
}

int main(void) {
    ep = MUST(epoll_create1(0));
    first = MUST(eventfd(0, 0));
    second = MUST(eventfd(1, 0));
    struct epoll_event in = {EPOLLIN, {.u64 = 1}}, got = {0};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, first, &in));
    pthread_t thread;
    pthread_create(&thread, NULL, giver, NULL);
    CALL(epoll_wait(ep, &got, 1, 10000));
    NUM(got.data.u64);
    pthread_join(thread, NULL);
    uint64_t value;
    read(first, &value, 8);
    pthread_create(&thread, NULL, adder, NULL);
    CALL(epoll_wait(ep, &got, 1, 10000));
    NUM(got.data.u64);
    pthread_join(thread, NULL);
    int64_t begun = t_now_ns();
    struct epoll_event none;
    close(second);
    CALL(epoll_wait(ep, &none, 1, 60));
    IS(t_now_ns() - begun >= 60000000);
    struct timespec limit = {0, 30000000};
    begun = t_now_ns();
    CALL(syscall(SYS_epoll_pwait2, ep, &none, 1, &limit, NULL, 0));
    IS(t_now_ns() - begun >= 30000000);
    return 0;
}

/*
 * Says what the wall clock shows, again and again over the time in which the kernel steps it, and how
 * what waits for moments of that clock fares: begun before the step, due after it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static struct timespec at(int64_t moment) {
    return (struct timespec){moment / 1000000000, moment % 1000000000};
}

static int64_t due, slept_until, signalled, cancelled, fired;

static void on_signal(int number) {
    (void)number;
    signalled = now();
}

static void *sleeper(void *unused) {
    struct timespec moment = at(due);
    clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &moment, NULL);
    slept_until = now();
    return unused;
}

static void *reader(void *flags) {
    struct itimerspec setting = {.it_value = at(due)};
    uint64_t count = 0;
    int fd = timerfd_create(CLOCK_REALTIME, 0);
    timerfd_settime(fd, (int)(intptr_t)flags, &setting, NULL);
    ssize_t got = read(fd, &count, sizeof count);
    if (got == -1 && errno == ECANCELED) {
        cancelled = now();
    } else if (got == sizeof count) {
        fired = now();
    }
    return NULL;
}

static void late(const char *what, int64_t moment) {
    if (moment == 0) {
        printf("%s never\n", what);
    } else {
        printf("%s %lld\n", what, (long long)(moment - due) / 1000000);
    }
}

int main(void) {
    pthread_t threads[3];
    timer_t timer;
    struct sigaction action = {.sa_handler = on_signal};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    setvbuf(stdout, NULL, _IOLBF, 0);
    due = now() + 2500000000ll;
    struct itimerspec setting = {.it_value = at(due)};
    sigaction(SIGUSR1, &action, NULL);
    timer_create(CLOCK_REALTIME, &event, &timer);
    timer_settime(timer, TIMER_ABSTIME, &setting, NULL);
    pthread_create(&threads[0], NULL, sleeper, NULL);
    pthread_create(&threads[1], NULL, reader, (void *)TFD_TIMER_ABSTIME);
    pthread_create(&threads[2], NULL, reader,
                   (void *)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET));
    while (now() < due + 200000000) {
        printf("clock %lld\n", (long long)now());
        struct timespec pause = {0, 20000000};
        nanosleep(&pause, NULL);
    }
    for (int i = 0; i < 3; ++i) {
        pthread_join(threads[i], NULL);
    }
    late("slept", slept_until);
    late("signalled", signalled);
    late("fired", fired);
    printf("cancelled %s\n", cancelled != 0 && cancelled < due ? "before" : "never");
    return 0;
}

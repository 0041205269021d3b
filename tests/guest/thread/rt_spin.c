/* @realtime
 * @timeout 30 */
/* A real-time thread that never sleeps leaves ordinary ones a twentieth of the CPU, and the machine
 * usable; one that sleeps is back in time among spinning ordinary threads. */
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "t.h"

#define MS 1000000ll

static volatile int stop;

static void become(int policy, int priority) {
    struct sched_param parameter = {priority};
    MUST(sched_setscheduler(0, policy, &parameter));
}

static void *spin(void *realtime) {
    if (realtime) {
        become(SCHED_FIFO, 1);
    }
    while (!stop) {
    }
    return NULL;
}

static int64_t cpu_time_of(pthread_t thread) {
    clockid_t clock;
    struct timespec time;
    pthread_getcpuclockid(thread, &clock);
    MUST(clock_gettime(clock, &time));
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int between(long found, long least, long most) {
    if (found < least || found > most) {
        SAY("found %ld", found);
    }
    return found >= least && found <= most;
}

/* A connection to ourselves, there and back. */
static void talk(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    char byte = 'x';
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (void *)&at, sizeof at));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (void *)&at, &size));
    int near = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(near, (void *)&at, sizeof at));
    int far = MUST(accept(listener, NULL, NULL));
    OK(write(near, &byte, 1));
    OK(read(far, &byte, 1));
    close(near);
    CALL(read(far, &byte, 1));
    close(far);
    close(listener);
}

static void spinning_realtime_thread(void) {
    pthread_t realtime, ordinary;
    stop = 0;
    pthread_create(&realtime, NULL, spin, "realtime");
    pthread_create(&ordinary, NULL, spin, NULL);
    t_pause_ms(500);
    talk();
    int64_t theirs = cpu_time_of(ordinary), its = cpu_time_of(realtime);
    t_pause_ms(3000);
    theirs = cpu_time_of(ordinary) - theirs;
    its = cpu_time_of(realtime) - its;
    stop = 1;
    pthread_join(realtime, NULL);
    pthread_join(ordinary, NULL);
    IS(between(theirs * 1000 / (theirs + its), 20, 80));
}

/* The least lateness of some sleeps: the host may add to any of them, but not to all. */
static void sleeping_realtime_thread(void) {
    pthread_t ordinary[6];
    int64_t least = 1000 * MS;
    stop = 0;
    for (int i = 0; i < 6; i++) {
        pthread_create(&ordinary[i], NULL, spin, NULL);
    }
    become(SCHED_FIFO, 1);
    /* An ordinary thread that used as much would wait for its turn behind six others. */
    for (int i = 0; i < 20; i++) {
        for (int64_t end = t_now_ns() + 12 * MS; t_now_ns() < end;) {
        }
        int64_t due = t_now_ns() + 2 * MS;
        t_pause_ms(2);
        int64_t late = t_now_ns() - due;
        least = late < least ? late : least;
    }
    stop = 1;
    for (int i = 0; i < 6; i++) {
        pthread_join(ordinary[i], NULL);
    }
    become(SCHED_OTHER, 0);
    IS(between(least / 1000, 0, 1500));
}

int main(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    MUST(sched_setaffinity(0, sizeof one, &one));
    MUST(setpriority(PRIO_PROCESS, gettid(), -20));
    spinning_realtime_thread();
    sleeping_realtime_thread();
    return 0;
}

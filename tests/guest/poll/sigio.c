/*
 * Signals that tell what happens to a descriptor: F_SETOWN and its relatives, F_SETSIG, O_ASYNC and
 * FIOASYNC on pipes, on AF_UNIX and TCP sockets, and SIGURG.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "t.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif
#define RT (SIGRTMIN + 3)

static volatile sig_atomic_t count;
static volatile struct {
    int signo, code, band, fd;
    pid_t tid;
} seen[64];

static void on_signal(int number, siginfo_t *info, void *unused) {
    (void)unused;
    if (count < 64) {
        seen[count].signo = number;
        seen[count].code = info->si_code;
        seen[count].band = (int)info->si_band;
        seen[count].fd = info->si_fd;
        seen[count].tid = (pid_t)syscall(SYS_gettid);
    }
    ++count;
}

/* What has come, once nothing more comes for a while. */
static void told(const char *what, int wanted) {
    for (int i = 0; i < 100 && count < wanted; ++i) {
        t_pause_ms(5);
    }
    t_pause_ms(10);
    SAY("%s: %d signals", what, count);
    for (int i = 0; i < count && i < 64; ++i) {
        const char *name = seen[i].signo == SIGIO ? "SIGIO" : seen[i].signo == SIGURG ? "SIGURG"
                         : seen[i].signo == RT ? "RT" : "other";
        if (seen[i].code == SI_KERNEL) {
            SAY("  %s from the kernel", name);
        } else {
            SAY("  %s code %d band %x fd %d", name, seen[i].code, seen[i].band, seen[i].fd);
        }
    }
    count = 0;
}

static void handle(int number) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    MUST(sigaction(number, &action, NULL));
}

static void async(int fd, bool on) {
    int flags = MUST(fcntl(fd, F_GETFL));
    MUST(fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC));
}

static void owners(void) {
    int p[2], file = MUST(open("/tmp/sigio", O_CREAT | O_RDWR, 0600));
    MUST(pipe(p));
    CALL(fcntl(p[0], F_GETOWN));
    CALL(fcntl(p[0], F_GETSIG));
    CALL(fcntl(p[0], F_SETOWN, getpid()));
    IS(fcntl(p[0], F_GETOWN) == getpid());
    CALL(fcntl(p[0], F_SETOWN, -getpgrp()));
    struct f_owner_ex owner = {0};
    CALL(fcntl(p[0], F_GETOWN_EX, &owner));
    SAY("type %d ours %d", owner.type, owner.pid == getpgrp());
    CALL(fcntl(p[0], F_SETOWN, 0x3fffffff));
    CALL(fcntl(p[0], F_SETOWN, INT_MIN));
    CALL(fcntl(p[0], F_SETOWN, 0));
    CALL(fcntl(p[0], F_GETOWN));
    owner.type = F_OWNER_TID;
    owner.pid = (pid_t)syscall(SYS_gettid);
    CALL(fcntl(p[0], F_SETOWN_EX, &owner));
    owner.pid = 0;
    CALL(fcntl(p[0], F_GETOWN_EX, &owner));
    SAY("type %d ours %d", owner.type, owner.pid == getpid());
    owner.type = 7;
    CALL(fcntl(p[0], F_SETOWN_EX, &owner));
    owner.type = F_OWNER_PID;
    owner.pid = 0x3fffffff;
    CALL(fcntl(p[0], F_SETOWN_EX, &owner));
    owner.pid = 0;
    CALL(fcntl(p[0], F_SETOWN_EX, &owner));
    CALL(fcntl(p[0], F_SETOWN_EX, BAD_POINTER));
    CALL(fcntl(p[0], F_GETOWN_EX, BAD_POINTER));
    uid_t ids[2] = {99, 99};
    MUST(fcntl(p[0], F_SETOWN, getpid()));
    CALL(fcntl(p[0], F_GETOWNER_UIDS, ids));
    SAY("uids ours %d %d", ids[0] == getuid(), ids[1] == geteuid());
    CALL(fcntl(p[0], F_SETSIG, 65));
    CALL(fcntl(p[0], F_SETSIG, -1));
    CALL(fcntl(p[0], F_SETSIG, 64));
    CALL(fcntl(p[0], F_GETSIG));
    CALL(fcntl(p[0], F_SETSIG, 0));
    CALL(fcntl(file, F_SETOWN, getpid()));
    IS(fcntl(file, F_GETOWN) == getpid());
    async(file, true);
    IS((fcntl(file, F_GETFL) & O_ASYNC) != 0);
    int on = 1, off = 0;
    CALL(ioctl(file, FIOASYNC, &on));
    CALL(ioctl(file, FIOASYNC, &off));
    CALL(ioctl(p[0], FIOASYNC, &on));
    IS((fcntl(p[0], F_GETFL) & O_ASYNC) != 0);
    CALL(ioctl(p[0], FIOASYNC, &off));
    IS((fcntl(p[0], F_GETFL) & O_ASYNC) != 0);
    CALL(ioctl(p[0], FIOASYNC, BAD_POINTER));
    int s = MUST(socket(AF_UNIX, SOCK_DGRAM, 0)), pid = getpid(), got = -1;
    CALL(ioctl(s, FIOGETOWN, &got));
    NUM(got);
    CALL(ioctl(s, FIOSETOWN, &pid));
    CALL(ioctl(s, SIOCGPGRP, &got));
    IS(got == pid);
    pid = -getpgrp();
    CALL(ioctl(s, SIOCSPGRP, &pid));
    CALL(ioctl(s, FIOGETOWN, &got));
    IS(got == pid);
    CALL(ioctl(s, SIOCSPGRP, BAD_POINTER));
    CALL(ioctl(p[0], FIOSETOWN, &pid));
    close(s);
    close(file);
    close(p[0]);
    close(p[1]);
}

static void plain_pipe(void) {
    int p[2];
    char text[8];
    MUST(pipe2(p, O_NONBLOCK));
    async(p[0], true);
    MUST(write(p[1], "a", 1));
    told("no owner", 0);
    MUST(fcntl(p[0], F_SETOWN, getpid()));
    MUST(write(p[1], "b", 1));
    SAY("at once: %d", count);
    told("a byte", 1);
    MUST(read(p[0], text, 8));
    told("read", 0);
    async(p[0], false);
    MUST(write(p[1], "c", 1));
    told("not asked", 0);
    async(p[0], true);
    close(p[1]);
    told("writer gone", 1);
    close(p[0]);
}

/* Fills the descriptor; `step` bytes at a time. */
static long fill(int fd, size_t step) {
    static char block[65536];
    long total = 0, put;
    while ((put = write(fd, block, step)) > 0) {
        total += put;
    }
    return total;
}

static void queued_pipe(void) {
    int p[2];
    static char block[65536];
    MUST(pipe2(p, O_NONBLOCK));
    for (int i = 0; i < 2; ++i) {
        MUST(fcntl(p[i], F_SETOWN, getpid()));
        MUST(fcntl(p[i], F_SETSIG, RT));
        async(p[i], true);
    }
    MUST(write(p[1], "a", 1));
    told("a byte", 1);
    MUST(write(p[1], "b", 1));
    told("another", 1);
    MUST(read(p[0], block, 8));
    count = 0;
    fill(p[1], 65536);
    t_pause_ms(10);
    count = 0;
    MUST(read(p[0], block, 65536));
    told("emptied", 1);
    close(p[0]);
    told("reader gone", 1);
    close(p[1]);
}

/* More signals than can be queued end as one SIGIO; closing the file takes none of them back. */
static void blocked(void) {
    int p[2];
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, RT);
    MUST(pipe(p));
    MUST(fcntl(p[0], F_SETOWN, getpid()));
    MUST(fcntl(p[0], F_SETSIG, RT));
    async(p[0], true);
    MUST(sigprocmask(SIG_BLOCK, &set, &old));
    for (int i = 0; i < 4; ++i) {
        MUST(write(p[1], "x", 1));
    }
    close(p[0]);
    close(p[1]);
    told("while blocked", 0);
    MUST(sigprocmask(SIG_SETMASK, &old, NULL));
    told("after", 4);
}

static void unix_stream(void) {
    int s[2];
    char text[8];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    MUST(fcntl(s[0], F_SETOWN, getpid()));
    MUST(fcntl(s[0], F_SETSIG, RT));
    async(s[0], true);
    MUST(write(s[1], "a", 1));
    told("a byte", 1);
    MUST(write(s[0], "b", 1));
    MUST(read(s[1], text, 8));
    told("read by the other", 0);
    fill(s[0], 4096);
    told("filled", 0);
    while (read(s[1], (char[65536]){0}, 65536) > 0) {
    }
    told("emptied", 1);
    MUST(shutdown(s[1], SHUT_WR));
    told("end of input", 1);
    close(s[1]);
    told("peer gone", 1);
    close(s[0]);
}

static void unix_packets(void) {
    int s[2];
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
    MUST(fcntl(s[0], F_SETOWN, getpid()));
    async(s[0], true);
    MUST(send(s[1], "a", 1, 0));
    told("a packet", 1);
    close(s[0]);
    close(s[1]);
}

static void tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    MUST(fcntl(listener, F_SETOWN, getpid()));
    MUST(fcntl(listener, F_SETSIG, RT));
    async(listener, true);
    int a = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(a, (struct sockaddr *)&address, sizeof address));
    told("somebody to accept", 1);
    int b = MUST(accept(listener, NULL, NULL));
    MUST(fcntl(b, F_SETOWN, getpid()));
    MUST(send(a, "u", 1, MSG_OOB));
    told("urgent", 1);
    MUST(fcntl(b, F_SETSIG, RT));
    async(b, true);
    MUST(send(a, "data", 4, 0));
    told("data", 1);
    char text[8];
    MUST(read(b, text, 8));
    MUST(write(b, "x", 1));
    MUST(read(a, text, 1));
    told("read and written", 0);
    MUST(shutdown(a, SHUT_WR));
    while (count == 0) {
        t_pause_ms(1);
    }
    SAY("end of input: code %d band %x", seen[0].code, seen[0].band);
    close(b);
    close(a);
    t_pause_ms(10);
    count = 0;
    close(listener);
}

static void datagrams(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int a = MUST(socket(AF_INET, SOCK_DGRAM, 0)), b = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(bind(b, (struct sockaddr *)&address, sizeof address));
    MUST(getsockname(b, (struct sockaddr *)&address, &length));
    MUST(fcntl(b, F_SETOWN, getpid()));
    MUST(fcntl(b, F_SETSIG, SIGIO));
    async(b, true);
    MUST(sendto(a, "x", 1, 0, (struct sockaddr *)&address, sizeof address));
    told("a datagram", 1);
    close(a);
    close(b);
}

static int wakers[2];
static void *one_thread(void *to) {
    struct f_owner_ex owner = {F_OWNER_TID, (pid_t)syscall(SYS_gettid)};
    MUST(fcntl(wakers[0], F_SETOWN_EX, &owner));
    *(pid_t *)to = owner.pid;
    while (count == 0) {
        t_pause_ms(5);
    }
    return NULL;
}

static void to_thread(void) {
    volatile pid_t tid = 0;
    pthread_t thread;
    MUST(pipe(wakers));
    MUST(fcntl(wakers[0], F_SETSIG, SIGURG));
    async(wakers[0], true);
    pthread_create(&thread, NULL, one_thread, (void *)&tid);
    while (tid == 0) {
        t_pause_ms(1);
    }
    MUST(write(wakers[1], "x", 1));
    pthread_join(thread, NULL);
    IS(seen[0].tid == tid);
    told("to a thread", 1);
    MUST(write(wakers[1], "x", 1));
    told("to a thread that has ended", 0);
    CALL(fcntl(wakers[0], F_GETOWN));
}

int main(void) {
    handle(SIGIO);
    handle(SIGURG);
    handle(RT);
    owners();
    plain_pipe();
    queued_pipe();
    blocked();
    unix_stream();
    unix_packets();
    tcp();
    datagrams();
    to_thread();
    return 0;
}

/* Descriptors that stand for a process: one's own. */
#include <poll.h>
#include <sys/wait.h>
#include "t.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static void on_signal(int number, siginfo_t *info, void *unused) {
    (void)unused;
    SAY("signal %d code %d from %s", number, info->si_code, info->si_pid == getpid() ? "us" : "them");
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGUSR1, &action, NULL));
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    IS(fd > 2);
    IS(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CALL(syscall(SYS_pidfd_open, getpid(), 1));
    CALL(syscall(SYS_pidfd_open, 0, 0));
    CALL(syscall(SYS_pidfd_open, -1, 0));
    CALL(syscall(SYS_pidfd_open, 0x3fffffff, 0));
    CALL(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    CALL(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
    CALL(syscall(SYS_pidfd_send_signal, fd, 99, NULL, 0));
    CALL(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 1 << 30));
    CALL(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, BAD_POINTER, 0));
    CALL(syscall(SYS_pidfd_send_signal, 0, SIGUSR1, NULL, 0));
    CALL(syscall(SYS_pidfd_send_signal, 99, SIGUSR1, NULL, 0));
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    CALL(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &info, 0));
    CALL(syscall(SYS_pidfd_send_signal, fd, SIGUSR2, &info, 0));
    int folder = MUST(open("/proc/self", O_DIRECTORY));
    CALL(syscall(SYS_pidfd_send_signal, folder, SIGUSR1, NULL, 0));
    int other = MUST(open("/proc/self/task", O_DIRECTORY));
    CALL(syscall(SYS_pidfd_send_signal, other, SIGUSR1, NULL, 0));
    struct pollfd one = {fd, POLLIN, 0};
    CALL(poll(&one, 1, 10));
    char byte;
    CALL(read(fd, &byte, 1));
    CALL(write(fd, &byte, 1));
    CALL(waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG));
    int p[2];
    MUST(pipe(p));
    int copy = (int)syscall(SYS_pidfd_getfd, fd, p[1], 0);
    IS(copy > 2);
    MUST(write(copy, "x", 1));
    CALL(read(p[0], &byte, 1));
    CALL(syscall(SYS_pidfd_getfd, fd, 99, 0));
    CALL(syscall(SYS_pidfd_getfd, 0, 1, 0));
    CALL(syscall(SYS_pidfd_getfd, fd, 1, 1));
    return 0;
}

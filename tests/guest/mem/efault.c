/* Bad pointers are EFAULT in every kind of call, never a crash. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include "t.h"

static void round_of(void *bad) {
    int file = MUST(open("f", O_CREAT | O_RDWR, 0644));
    int ends[2], pair[2];
    MUST(pwrite(file, "text", 4, 0));
    MUST(pipe(ends));
    MUST(write(ends[1], "x", 1));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(write(pair[1], "x", 1));
    CALL(read(file, bad, 4));
    CALL(write(file, bad, 4));
    CALL(read(ends[0], bad, 1));
    CALL(write(ends[1], bad, 1));
    CALL(send(pair[0], bad, 1, 0));
    CALL(recv(pair[0], bad, 1, 0));
    CALL(open(bad, O_RDONLY));
    CALL(stat("f", bad));
    CALL(rename("f", bad));
    CALL(pipe(bad));
    CALL(uname(bad));
    CALL(sysinfo(bad));
    CALL(getrlimit(RLIMIT_NOFILE, bad));
    CALL(syscall(SYS_getrusage, 0, bad));
    CALL(syscall(SYS_nanosleep, bad, NULL));
    CALL(syscall(SYS_futex, bad, 0, 0, NULL));
    CALL(poll(bad, 1, 0));
    CALL(syscall(SYS_rt_sigaction, SIGUSR1, NULL, bad, 8));
    CALL(syscall(SYS_rt_sigpending, bad, 8));
    CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, bad));
    CALL(bind(pair[0], bad, 16));
    CALL(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, bad, &(socklen_t){4}));
    CALL(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, bad, 4));
    CALL(sendmsg(pair[0], bad, 0));
    CALL(recvmsg(pair[0], bad, 0));
    CALL(readv(file, bad, 1));
    CALL(syscall(SYS_getdents64, file, bad, 100) == -1);
    CALL(mincore(bad, 4096, bad) == -1);
    CALL(syscall(SYS_readlink, "/proc/self/exe", bad, 10));
    CALL(syscall(SYS_sched_getaffinity, 0, 8, bad));
    CALL(syscall(SYS_getcwd, bad, 100));
    close(file);
    close(ends[0]);
    close(ends[1]);
    close(pair[0]);
    close(pair[1]);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    SAY("low");
    round_of(BAD_POINTER);
    SAY("kernel");
    round_of(KERNEL_POINTER);
    SAY("not canonical");
    round_of((void *)0x8000000000000000ul);
    SAY("unmapped");
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map, 8192);
    round_of(map);
    return 0;
}

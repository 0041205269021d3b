/* eventfd: counting, semaphore mode, overflow, sizes. */
#include <poll.h>
#include <sys/eventfd.h>
#include "t.h"

static void take(int fd) {
    uint64_t value = 0;
    ssize_t got = read(fd, &value, sizeof value);
    SAY("read %zd %s value %llu", got, got < 0 ? t_error(errno) : "", (unsigned long long)value);
}

static void give(int fd, uint64_t value) {
    ssize_t got = write(fd, &value, sizeof value);
    SAY("write %zd %s", got, got < 0 ? t_error(errno) : "");
}

static void ready(int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    SAY("ready %x", p.revents);
}

int main(void) {
    int fd = MUST(eventfd(3, EFD_NONBLOCK));
    ready(fd);
    give(fd, 4);
    take(fd);
    ready(fd);
    take(fd);
    give(fd, UINT64_MAX - 1);
    ready(fd);
    give(fd, 1);
    give(fd, UINT64_MAX);
    give(fd, 0);
    char small[4];
    CALL(read(fd, small, 4));
    CALL(write(fd, small, 4));
    int sem = MUST(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    take(sem);
    take(sem);
    take(sem);
    CALL(eventfd(0, 0x1000000));
    CALL(lseek(fd, 0, SEEK_SET));
    NUM(fcntl(fd, F_GETFL) & O_ACCMODE);
    return 0;
}

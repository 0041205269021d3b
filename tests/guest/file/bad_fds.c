/* Descriptors that are not open, or are the wrong kind, give the right errors. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include "t.h"

int main(void) {
    char c;
    struct stat st = {0};
    CALL(read(99, &c, 1));
    CALL(write(99, &c, 1));
    CALL(read(-1, &c, 1));
    CALL(fsync(99));
    CALL(ioctl(99, 0x5401, &c));
    CALL(epoll_ctl(99, EPOLL_CTL_ADD, 0, NULL));
    CALL(epoll_wait(99, (struct epoll_event *)&st, 1, 0));
    CALL(listen(99, 1));
    CALL(timerfd_settime(99, 0, (void *)&st, NULL));
    CALL(fdatasync(99));
    CALL(readv(99, NULL, 0));
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    CALL(listen(fd, 1));
    CALL(accept(fd, NULL, NULL));
    CALL(send(fd, "x", 1, 0));
    CALL(epoll_wait(fd, (struct epoll_event *)&st, 1, 0));
    CALL(fsync(fd));
    CALL(fdatasync(fd));
    CALL(ioctl(fd, 0x5401, &c));
    CALL(syscall(SYS_fadvise64, fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    CALL(syscall(SYS_fadvise64, fd, 0, 0, 77));
    CALL(syscall(SYS_sync));
    CALL(syncfs(fd));
    CALL(sync_file_range(fd, 0, 0, 2));
    return 0;
}

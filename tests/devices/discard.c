/* Tells a disk that nobody wants a part of what was written to it, and asks for what it must refuse. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MIB = 1 << 20 };
static char bytes[4 * MIB], back[4 * MIB];

static void discard(const char *what, int fd, uint64_t start, uint64_t length) {
    uint64_t range[2] = {start, length};
    int result = ioctl(fd, BLKDISCARD, range);
    printf("%s: %s\n", what, result == 0 ? "done" : strerrorname_np(errno));
}

int main(int count, char **words) {
    int fd = count == 2 ? open(words[1], O_RDWR) : -1;
    if (fd < 0) {
        perror("open");
        return 1;
    }
    memset(bytes, 0x5a, sizeof bytes);
    if (pwrite(fd, bytes, sizeof bytes, 0) != sizeof bytes || fsync(fd) != 0) {
        perror("write");
        return 1;
    }
    discard("the second and third MiB", fd, MIB, 2 * MIB);
    discard("nothing", fd, MIB, 0);
    discard("half a sector", fd, MIB, 256);
    discard("from within a sector", fd, 100, 512);
    discard("beyond the end", fd, 3 * MIB, 2 * MIB);
    discard("far beyond the end", fd, UINT64_MAX - 511, 1024);
    printf("from nowhere: %s\n", ioctl(fd, BLKDISCARD, 8) == 0 ? "done" : strerrorname_np(errno));
    int reader = open(words[1], O_RDONLY);
    discard("by a reader", reader, 0, MIB);
    if (pread(fd, back, sizeof back, 0) != sizeof back) {
        perror("read");
        return 1;
    }
    printf("the rest is there: %d\n",
           memcmp(bytes, back, MIB) == 0 && memcmp(bytes + 3 * MIB, back + 3 * MIB, MIB) == 0);
    return 0;
}

/* Says how a disk behaves as a file: what its ends, its offsets and its descriptor do. The argument
 * names a device of 1 MiB with sectors of 512 bytes whose contents do not matter. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SIZE = 1 << 20 };
static char bytes[SIZE], back[SIZE];
static void *volatile nowhere = (void *)8;

static void say(const char *what, long result) {
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerrorname_np(errno) : "");
}

static void fill(char *to, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; ++i) {
        seed = seed * 1103515245 + 12345;
        to[i] = (char)(seed >> 16);
    }
}

static void what_it_is(int fd) {
    struct stat st;
    fstat(fd, &st);
    printf("block device %d, size %ld, blocks %ld, numbered %d\n", S_ISBLK(st.st_mode),
           (long)st.st_size, (long)st.st_blocks, st.st_rdev != 0);
    unsigned long long large = 0;
    unsigned long sectors = 0;
    int number = -1;
    say("BLKGETSIZE64", ioctl(fd, BLKGETSIZE64, &large));
    say("BLKGETSIZE", ioctl(fd, BLKGETSIZE, &sectors));
    printf("%llu bytes, %lu sectors\n", large, sectors);
    say("BLKSSZGET", ioctl(fd, BLKSSZGET, &number));
    printf("sectors of %d\n", number);
    say("BLKPBSZGET", ioctl(fd, BLKPBSZGET, &number));
    printf("on the medium %d\n", number);
    say("BLKBSZGET", ioctl(fd, BLKBSZGET, &number));
    printf("blocks of %d\n", number);
    say("BLKROGET", ioctl(fd, BLKROGET, &number));
    printf("read-only %d\n", number);
    say("BLKALIGNOFF", ioctl(fd, BLKALIGNOFF, &number));
    printf("begins at %d\n", number);
    say("BLKFLSBUF", ioctl(fd, BLKFLSBUF, 0));
    say("BLKGETSIZE64 to nowhere", ioctl(fd, BLKGETSIZE64, nowhere));
}

static void ends(int fd) {
    fill(bytes, SIZE, 1);
    say("all of it", pwrite(fd, bytes, SIZE, 0));
    say("over the end", pwrite(fd, bytes, 1000, SIZE - 300));
    memcpy(bytes + SIZE - 300, bytes, 300);
    say("at the end", pwrite(fd, bytes, 1, SIZE));
    say("beyond the end", pwrite(fd, bytes, 1, SIZE + 5000));
    say("nothing at the end", pwrite(fd, bytes, 0, SIZE));
    say("at a negative offset", pwrite(fd, bytes, 1, -1));
    say("reading over the end", pread(fd, back, 1000, SIZE - 300));
    say("reading at the end", pread(fd, back, 1000, SIZE));
    say("reading beyond it", pread(fd, back, 1000, SIZE + 70000));
    say("reading to nowhere", pread(fd, nowhere, 1000, 0));
    say("writing from nowhere", pwrite(fd, nowhere, 1000, 0));
    say("reading all", pread(fd, back, SIZE, 0));
    printf("same %d\n", memcmp(bytes, back, SIZE) == 0);
}

static void ragged(int fd) {
    unsigned seed = 2;
    for (int i = 0; i < 100; ++i) {
        seed = seed * 1103515245 + 12345;
        size_t size = 1 + (seed >> 16) % 9000, offset = (seed >> 8) % (SIZE - 10000);
        fill(bytes + offset, size, seed);
        if (pwrite(fd, bytes + offset, size, offset) != (ssize_t)size) {
            printf("ragged write %d failed\n", i);
        }
    }
    struct iovec parts[] = {{bytes + 7, 13}, {bytes + 20, 0}, {bytes + 20, 4096}, {bytes + 4116, 1}};
    say("pwritev", pwritev(fd, parts, 4, 7));
    memset(back, 0, SIZE);
    struct iovec into[] = {{back, 1}, {back + 1, 1000}, {back + 1001, SIZE - 1001}};
    say("preadv", preadv(fd, into, 3, 0));
    printf("same %d\n", memcmp(bytes, back, SIZE) == 0);
}

static void offsets(int fd) {
    say("to the end", lseek(fd, 0, SEEK_END));
    say("writing there", write(fd, bytes, 10));
    say("reading there", read(fd, back, 10));
    say("one beyond", lseek(fd, 1, SEEK_END));
    say("far beyond", lseek(fd, SIZE + 1, SEEK_SET));
    say("before the start", lseek(fd, -1, SEEK_SET));
    say("ten before the end", lseek(fd, -10, SEEK_END));
    say("reading there", read(fd, back, 100));
    say("where it is", lseek(fd, 0, SEEK_CUR));
    say("data", lseek(fd, 100, SEEK_DATA));
    say("hole", lseek(fd, 100, SEEK_HOLE));
    say("data at the end", lseek(fd, SIZE, SEEK_DATA));
    say("hole at the end", lseek(fd, SIZE, SEEK_HOLE));
    say("another way", lseek(fd, 0, 9));
    say("to 100", lseek(fd, 100, SEEK_SET));
    say("writing there", write(fd, bytes + 100, 412));
    say("where it is", lseek(fd, 0, SEEK_CUR));
}

static void calls(int fd) {
    say("ftruncate", ftruncate(fd, 0));
    say("fallocate", fallocate(fd, 0, 0, 4096));
    say("fsync", fsync(fd));
    say("fdatasync", fdatasync(fd));
    struct pollfd ready = {fd, POLLIN | POLLOUT, 0};
    say("poll", poll(&ready, 1, 0));
    printf("ready for %d\n", ready.revents);
    int epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {0}};
    say("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    close(epoll);
    int pipes[2];
    loff_t from = 512;
    say("pipe", pipe(pipes));
    say("splice", splice(fd, &from, pipes[1], 0, 4096, 0));
    say("reading the pipe", read(pipes[0], back, 4096));
    printf("same %d\n", memcmp(bytes + 512, back, 4096) == 0);
    off_t start = 1000;
    say("sendfile", sendfile(pipes[1], fd, &start, 3000));
    say("reading the pipe", read(pipes[0], back, 4096));
    printf("same %d\n", memcmp(bytes + 1000, back, 3000) == 0);
    close(pipes[0]);
    close(pipes[1]);
}

static void ways_to_open(const char *path) {
    int fd = open(path, O_RDONLY);
    say("writing to a reader", pwrite(fd, bytes, 10, 0));
    close(fd);
    fd = open(path, O_WRONLY);
    say("reading from a writer", pread(fd, back, 10, 0));
    close(fd);
    fd = open(path, O_RDWR | O_TRUNC | O_CREAT, 0600);
    say("after O_TRUNC", pread(fd, back, SIZE, 0));
    printf("same %d\n", memcmp(bytes, back, SIZE) == 0);
    close(fd);
    fd = open(path, O_RDWR | O_APPEND);
    fill(bytes, 10, 5);
    say("O_APPEND", write(fd, bytes, 10));
    close(fd);
    say("O_DIRECTORY", open(path, O_RDONLY | O_DIRECTORY));
    fd = open(path, O_RDWR | O_SYNC);
    fill(bytes + 50, 2000, 6);
    say("O_SYNC", pwrite(fd, bytes + 50, 2000, 50));
    close(fd);
}

static void directly(const char *path) {
    char *aligned = aligned_alloc(4096, SIZE);
    int fd = open(path, O_RDWR | O_DIRECT);
    say("opened", fd >= 0);
    say("read", pread(fd, aligned, SIZE, 0));
    printf("same %d\n", memcmp(bytes, aligned, SIZE) == 0);
    say("at 1", pread(fd, aligned, 512, 1));
    say("100 bytes", pread(fd, aligned, 100, 0));
    say("writing 100 bytes", pwrite(fd, aligned, 100, 0));
    say("writing at 100", pwrite(fd, aligned, 512, 100));
    fill(aligned, 65536, 7);
    memcpy(bytes + 1024, aligned, 65536);
    say("writing", pwrite(fd, aligned, 65536, 1024));
    say("reading at the end", pread(fd, aligned, 512, SIZE));
    say("writing at the end", pwrite(fd, aligned, 512, SIZE));
    close(fd);
    fd = open(path, O_RDONLY);
    say("read", pread(fd, back, SIZE, 0));
    printf("same %d\n", memcmp(bytes, back, SIZE) == 0);
    close(fd);
    free(aligned);
}

int main(int count, char **words) {
    int fd = count == 2 ? open(words[1], O_RDWR) : -1;
    if (fd < 0) {
        perror("open");
        return 1;
    }
    what_it_is(fd);
    ends(fd);
    ragged(fd);
    offsets(fd);
    calls(fd);
    close(fd);
    ways_to_open(words[1]);
    directly(words[1]);
    return 0;
}

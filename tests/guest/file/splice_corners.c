/*
 * splice, tee, vmsplice, sendfile and copy_file_range on the wrong kinds of files, at wrong or no
 * offsets, with nothing to move, full and empty pipes, O_APPEND and ranges that overlap.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "t.h"

#ifndef SPLICE_F_NONBLOCK
#define SPLICE_F_NONBLOCK 2
#endif

static int in, out, append, folder, null, zero, event, epoll, s[2], p[2], q[2];
static int only_in, only_out, path_only, writing;

static int held(int fd) {
    int bytes = -1;
    ioctl(fd, FIONREAD, &bytes);
    return bytes;
}

static void drain(int fd) {
    static char block[65536];
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while (read(fd, block, sizeof block) > 0) {
    }
    fcntl(fd, F_SETFL, flags);
}

static void fill(int fd) {
    static char block[4096];
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while (write(fd, block, sizeof block) > 0) {
    }
    fcntl(fd, F_SETFL, flags);
}

static void renew(void) {
    t_put("f", "0123456789abcdef");
    t_put("g", "ABCDEFGH");
    MUST(lseek(in, 0, SEEK_SET));
    MUST(lseek(out, 0, SEEK_SET));
    drain(p[0]);
    drain(q[0]);
}

static void setup(void) {
    t_put("f", "0123456789abcdef");
    t_put("g", "ABCDEFGH");
    t_put("h", "append:");
    in = MUST(open("f", O_RDONLY));
    out = MUST(open("g", O_RDWR));
    append = MUST(open("h", O_RDWR | O_APPEND));
    only_in = in;
    only_out = MUST(open("g", O_WRONLY));
    writing = MUST(open("f", O_RDWR));
    path_only = MUST(open("f", O_PATH));
    folder = MUST(open(".", O_RDONLY | O_DIRECTORY));
    null = MUST(open("/dev/null", O_RDWR));
    zero = MUST(open("/dev/zero", O_RDWR));
    event = MUST(eventfd(0, EFD_NONBLOCK));
    epoll = MUST(epoll_create1(0));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    MUST(pipe(p));
    MUST(pipe(q));
}

static void test_splice(void) {
    loff_t at = 4, negative = -1, far = 100, zero_at = 0;
    SAY("--- splice: kinds");
    CALL(splice(in, NULL, out, NULL, 4, 0));
    CALL(splice(in, NULL, p[1], NULL, 4, 0));
    CALL(splice(p[0], NULL, out, NULL, 4, 0));
    CALL(splice(p[0], NULL, p[1], NULL, 4, 0));
    CALL(splice(p[1], NULL, out, NULL, 4, 0));
    CALL(splice(in, NULL, p[0], NULL, 4, 0));
    CALL(splice(in, NULL, in, NULL, 4, 0));
    CALL(splice(only_out, NULL, p[1], NULL, 4, 0));
    MUST(write(p[1], "pipe", 4));
    CALL(splice(p[0], NULL, only_in, NULL, 4, 0));
    CALL(splice(p[0], NULL, folder, NULL, 4, 0));
    CALL(splice(folder, NULL, p[1], NULL, 4, 0));
    CALL(splice(p[0], NULL, path_only, NULL, 4, 0));
    CALL(splice(path_only, NULL, p[1], NULL, 4, 0));
    CALL(splice(p[0], NULL, event, NULL, 4, 0));
    CALL(splice(event, NULL, p[1], NULL, 8, 0));
    CALL(splice(p[0], NULL, epoll, NULL, 4, 0));
    CALL(splice(epoll, NULL, p[1], NULL, 4, 0));
    NUM(held(p[0]));
    CALL(splice(p[0], NULL, null, NULL, 2, 0));
    NUM(held(p[0]));
    CALL(splice(null, NULL, q[1], NULL, 2, 0));
    CALL(splice(zero, NULL, q[1], NULL, 2, 0));
    CALL(splice(p[0], NULL, zero, NULL, 1, 0));
    CALL(splice(p[0], NULL, s[0], NULL, 1, 0));
    CALL(splice(s[1], NULL, p[1], NULL, 8, 0));
    CALL(splice(s[1], NULL, p[1], NULL, 8, SPLICE_F_NONBLOCK));
    CALL(splice(-1, NULL, p[1], NULL, 8, 0));
    CALL(splice(in, NULL, -1, NULL, 8, 0));
    CALL(splice(-1, NULL, -1, NULL, 0, 0));
    CALL(splice(in, NULL, p[1], NULL, 4, 16));
    CALL(splice(-1, NULL, -1, NULL, 0, 16));
    CALL(splice(in, NULL, out, NULL, 0, 0));
    renew();
    SAY("--- splice: offsets");
    CALL(splice(in, &at, p[1], NULL, 4, 0));
    NUM(at);
    CALL(lseek(in, 0, SEEK_CUR));
    CALL(splice(in, &negative, p[1], NULL, 4, 0));
    CALL(splice(in, &far, p[1], NULL, 4, 0));
    CALL(splice(in, (loff_t *)BAD_POINTER, p[1], NULL, 4, 0));
    CALL(splice(p[0], &zero_at, out, NULL, 4, 0));
    CALL(splice(in, NULL, p[1], &zero_at, 4, 0));
    CALL(splice(p[0], &zero_at, q[1], NULL, 4, 0));
    CALL(splice(p[0], NULL, q[1], &zero_at, 4, 0));
    CALL(splice(s[0], &zero_at, p[1], NULL, 4, 0));
    CALL(splice(p[0], NULL, s[0], &zero_at, 4, 0));
    CALL(splice(null, &zero_at, p[1], NULL, 4, 0));
    CALL(splice(event, &zero_at, p[1], NULL, 4, 0));
    CALL(splice(p[0], NULL, out, &negative, 4, 0));
    NUM(held(p[0]));
    at = 12;
    CALL(splice(p[0], NULL, out, &at, 2, 0));
    NUM(at);
    CALL(lseek(out, 0, SEEK_CUR));
    at = 0x7fffffffffffffffll;
    CALL(splice(in, &at, p[1], NULL, 4, 0));
    CALL(splice(p[0], NULL, out, &at, 2, 0));
    NUM(held(p[0]));
    CALL(splice(in, NULL, p[1], NULL, (size_t)-1, 0));
    CALL(lseek(in, 0, SEEK_CUR));
    renew();
    SAY("--- splice: empty and full");
    CALL(splice(p[0], NULL, out, NULL, 4, SPLICE_F_NONBLOCK));
    CALL(splice(p[0], NULL, q[1], NULL, 4, SPLICE_F_NONBLOCK));
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    CALL(splice(p[0], NULL, out, NULL, 4, 0));
    CALL(splice(p[0], NULL, q[1], NULL, 4, 0));
    fcntl(p[0], F_SETFL, 0);
    fill(q[1]);
    CALL(splice(in, NULL, q[1], NULL, 4, SPLICE_F_NONBLOCK));
    CALL(lseek(in, 0, SEEK_CUR));
    MUST(write(p[1], "x", 1));
    CALL(splice(p[0], NULL, q[1], NULL, 4, SPLICE_F_NONBLOCK));
    fcntl(q[1], F_SETFL, O_NONBLOCK);
    CALL(splice(in, NULL, q[1], NULL, 4, 0));
    CALL(splice(p[0], NULL, q[1], NULL, 4, 0));
    fcntl(q[1], F_SETFL, 0);
    NUM(held(p[0]));
    renew();
    SAY("--- splice: ends that are gone");
    int r[2];
    MUST(pipe(r));
    close(r[1]);
    CALL(splice(r[0], NULL, out, NULL, 4, 0));
    CALL(splice(r[0], NULL, q[1], NULL, 4, 0));
    close(r[0]);
    MUST(pipe(r));
    close(r[0]);
    signal(SIGPIPE, SIG_IGN);
    CALL(splice(in, NULL, r[1], NULL, 4, 0));
    CALL(splice(in, NULL, r[1], NULL, 4, SPLICE_F_NONBLOCK));
    MUST(write(p[1], "x", 1));
    CALL(splice(p[0], NULL, r[1], NULL, 4, 0));
    NUM(held(p[0]));
    CALL(splice(p[0], NULL, r[1], NULL, 0, 0));
    close(r[1]);
    SAY("--- splice: append");
    CALL(splice(p[0], NULL, append, NULL, 1, 0));
    at = 0;
    CALL(splice(p[0], NULL, append, &at, 1, 0));
    t_show("h");
    CALL(splice(append, &at, p[1], NULL, 3, 0));
    renew();
}

static void test_tee(void) {
    SAY("--- tee");
    char text[32] = "";
    CALL(tee(p[0], q[1], 4, SPLICE_F_NONBLOCK));
    CALL(tee(p[0], q[1], 0, 0));
    CALL(tee(p[0], p[1], 4, 0));
    CALL(tee(in, q[1], 4, 0));
    CALL(tee(p[0], out, 4, 0));
    CALL(tee(in, out, 4, 0));
    CALL(tee(in, out, 0, 0));
    CALL(tee(p[1], q[1], 4, 0));
    CALL(tee(p[0], q[0], 4, 0));
    CALL(tee(-1, q[1], 4, 0));
    CALL(tee(p[0], -1, 4, 0));
    CALL(tee(-1, -1, 0, 0));
    CALL(tee(p[0], q[1], 4, 16));
    CALL(tee(path_only, q[1], 4, 0));
    MUST(write(p[1], "12345678", 8));
    CALL(tee(p[0], q[1], 4, 0));
    CALL(tee(p[0], q[1], 100, 0));
    NUM(held(p[0]));
    CALL(read(q[0], text, sizeof text));
    SAY("%s", text);
    fill(q[1]);
    CALL(tee(p[0], q[1], 4, SPLICE_F_NONBLOCK));
    fcntl(q[1], F_SETFL, O_NONBLOCK);
    CALL(tee(p[0], q[1], 4, 0));
    fcntl(q[1], F_SETFL, 0);
    renew();
    int r[2];
    MUST(pipe(r));
    close(r[1]);
    CALL(tee(r[0], q[1], 4, 0));
    close(r[0]);
    MUST(pipe(r));
    close(r[0]);
    CALL(tee(p[0], r[1], 4, SPLICE_F_NONBLOCK));
    MUST(write(p[1], "x", 1));
    CALL(tee(p[0], r[1], 4, 0));
    close(r[1]);
    renew();
}

static void test_vmsplice(void) {
    SAY("--- vmsplice");
    char text[32] = "0123456789", got[32] = "";
    struct iovec one = {text, 10}, to = {got, 4}, none = {text, 0}, bad = {BAD_POINTER, 4};
    struct iovec half[2] = {{text, 5}, {BAD_POINTER, 4}};
    CALL(vmsplice(p[1], &one, 1, 0));
    CALL(vmsplice(p[0], &to, 1, 0));
    SAY("%s", got);
    CALL(vmsplice(p[1], &none, 1, 0));
    CALL(vmsplice(p[1], NULL, 0, 0));
    CALL(vmsplice(p[1], &one, 1, 16));
    CALL(vmsplice(p[1], &bad, 1, 0));
    CALL(vmsplice(p[1], half, 2, 0));
    NUM(held(p[0]));
    CALL(vmsplice(p[1], BAD_POINTER, 1, 0));
    CALL(vmsplice(p[1], &one, 1025, 0));
    CALL(vmsplice(in, &one, 1, 0));
    CALL(vmsplice(out, &one, 1, 0));
    CALL(vmsplice(out, NULL, 0, 0));
    CALL(vmsplice(-1, &one, 1, 0));
    CALL(vmsplice(-1, NULL, 0, 0));
    CALL(vmsplice(null, &one, 1, 0));
    drain(p[0]);
    CALL(vmsplice(p[0], &to, 1, SPLICE_F_NONBLOCK));
    fill(p[1]);
    CALL(vmsplice(p[1], &one, 1, SPLICE_F_NONBLOCK));
    renew();
    int r[2];
    MUST(pipe(r));
    close(r[0]);
    CALL(vmsplice(r[1], &one, 1, 0));
    close(r[1]);
    MUST(pipe(r));
    close(r[1]);
    CALL(vmsplice(r[0], &to, 1, 0));
    close(r[0]);
}

static void test_sendfile(void) {
    SAY("--- sendfile");
    off_t at = 4, negative = -1, far = 100;
    CALL(sendfile(out, in, NULL, 0));
    CALL(sendfile(out, in, &at, 0));
    CALL(sendfile(-1, -1, NULL, 0));
    CALL(sendfile(out, in, &negative, 4));
    CALL(sendfile(out, in, &far, 4));
    NUM(far);
    CALL(sendfile(out, in, (off_t *)BAD_POINTER, 4));
    CALL(sendfile(out, in, &at, (size_t)-1));
    CALL(sendfile(out, in, &at, 4));
    NUM(at);
    CALL(lseek(out, 0, SEEK_CUR));
    CALL(sendfile(in, out, NULL, 4));
    CALL(sendfile(out, only_out, NULL, 4));
    CALL(sendfile(out, folder, NULL, 4));
    CALL(sendfile(folder, in, NULL, 4));
    CALL(sendfile(append, in, NULL, 4));
    CALL(sendfile(null, in, NULL, 4));
    CALL(lseek(in, 0, SEEK_CUR));
    CALL(sendfile(out, null, NULL, 4));
    CALL(sendfile(out, zero, NULL, 4));
    CALL(sendfile(event, in, NULL, 8));
    CALL(sendfile(out, event, NULL, 8));
    CALL(sendfile(epoll, in, NULL, 8));
    CALL(sendfile(out, path_only, NULL, 4));
    CALL(sendfile(path_only, in, NULL, 4));
    MUST(write(p[1], "pipe", 4));
    CALL(sendfile(out, p[0], NULL, 4));
    off_t zero_at = 0;
    CALL(sendfile(out, p[0], &zero_at, 4));
    CALL(sendfile(q[1], p[0], NULL, 4));
    CALL(sendfile(out, s[0], NULL, 4));
    CALL(sendfile(out, s[0], &zero_at, 4));
    CALL(sendfile(s[0], in, NULL, 4));
    drain(s[1]);
    renew();
    CALL(sendfile(p[1], in, NULL, 100));
    NUM(held(p[0]));
    renew();
    fill(p[1]);
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    CALL(sendfile(p[1], in, NULL, 4));
    CALL(lseek(in, 0, SEEK_CUR));
    fcntl(p[1], F_SETFL, 0);
    renew();
    int r[2];
    MUST(pipe(r));
    close(r[0]);
    CALL(sendfile(r[1], in, NULL, 4));
    CALL(lseek(in, 0, SEEK_CUR));
    close(r[1]);
    renew();
    SAY("--- sendfile: the same file");
    at = 0;
    CALL(sendfile(writing, in, &at, 4));
    t_show("f");
    MUST(lseek(writing, 8, SEEK_SET));
    CALL(sendfile(writing, writing, &(off_t){0}, 4));
    t_show("f");
    CALL(lseek(writing, 0, SEEK_CUR));
    renew();
}

static void test_copy_range(void) {
    SAY("--- copy_file_range");
    loff_t a = 0, b = 8, negative = -1, far = 100, top = 0x7fffffffffffffffll;
    MUST(lseek(writing, 0, SEEK_SET));
    CALL(copy_file_range(in, NULL, out, NULL, 0, 0));
    CALL(copy_file_range(in, NULL, out, NULL, 4, 1));
    CALL(copy_file_range(-1, NULL, out, NULL, 4, 1));
    CALL(copy_file_range(-1, NULL, -1, NULL, 0, 0));
    CALL(copy_file_range(in, &negative, out, NULL, 4, 0));
    CALL(copy_file_range(in, NULL, out, &negative, 4, 0));
    CALL(copy_file_range(in, &far, out, NULL, 4, 0));
    CALL(copy_file_range(in, &top, out, NULL, 4, 0));
    CALL(copy_file_range(in, NULL, out, &top, 4, 0));
    CALL(copy_file_range(in, BAD_POINTER, out, NULL, 4, 0));
    CALL(copy_file_range(in, NULL, out, BAD_POINTER, 4, 0));
    CALL(copy_file_range(out, NULL, in, NULL, 4, 0));
    CALL(copy_file_range(only_out, NULL, out, NULL, 4, 0));
    CALL(copy_file_range(folder, NULL, out, NULL, 4, 0));
    CALL(copy_file_range(in, NULL, folder, NULL, 4, 0));
    CALL(copy_file_range(path_only, NULL, out, NULL, 4, 0));
    CALL(copy_file_range(in, NULL, append, NULL, 4, 0));
    CALL(copy_file_range(append, NULL, out, NULL, 4, 0));
    CALL(copy_file_range(null, NULL, out, NULL, 4, 0));
    CALL(copy_file_range(in, NULL, null, NULL, 4, 0));
    CALL(copy_file_range(p[0], NULL, out, NULL, 4, 0));
    CALL(copy_file_range(in, NULL, p[1], NULL, 4, 0));
    CALL(copy_file_range(p[0], &a, out, NULL, 4, 0));
    CALL(copy_file_range(s[0], NULL, out, NULL, 4, 0));
    CALL(copy_file_range(event, NULL, out, NULL, 4, 0));
    renew();
    CALL(copy_file_range(in, NULL, out, NULL, (size_t)-1, 0));
    CALL(lseek(in, 0, SEEK_CUR));
    CALL(lseek(out, 0, SEEK_CUR));
    CALL(copy_file_range(in, NULL, out, NULL, 4, 0));
    renew();
    SAY("--- copy_file_range: the same file");
    CALL(copy_file_range(writing, &a, writing, &b, 4, 0));
    SAY("%lld %lld", (long long)a, (long long)b);
    t_show("f");
    a = 0, b = 2;
    CALL(copy_file_range(writing, &a, writing, &b, 4, 0));
    a = 0, b = 4;
    CALL(copy_file_range(in, &a, writing, &b, 4, 0));
    a = 4, b = 0;
    CALL(copy_file_range(in, &a, writing, &b, 5, 0));
    a = 4, b = 4;
    CALL(copy_file_range(in, &a, writing, &b, 0, 0));
    a = 12, b = 16;
    CALL(copy_file_range(in, &a, writing, &b, 8, 0));
    a = 0, b = 100;
    CALL(copy_file_range(in, &a, writing, &b, 4, 0));
    struct stat now;
    MUST(fstat(in, &now));
    NUM(now.st_size);
    a = 4, b = 0;
    CALL(copy_file_range(in, &a, writing, &b, 200, 0));
    renew();
}

/* More than a pipe holds: what there is room for goes, and nothing waits. */
static void test_much(void) {
    SAY("--- much");
    enum { SIZE = 1 << 20 };
    char *block = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(block, 'x', SIZE);
    struct iovec all = {block, SIZE};
    CALL(vmsplice(p[1], &all, 1, 0));
    CALL(vmsplice(p[1], &all, 1, SPLICE_F_NONBLOCK));
    drain(p[0]);
    int big = MUST(open("big", O_CREAT | O_RDWR, 0600));
    MUST(write(big, block, SIZE));
    MUST(lseek(big, 0, SEEK_SET));
    CALL(sendfile(p[1], big, NULL, SIZE));
    CALL(lseek(big, 0, SEEK_CUR));
    CALL(splice(p[0], NULL, q[1], NULL, SIZE, 0));
    CALL(splice(big, NULL, p[1], NULL, SIZE, 0));
    CALL(tee(q[0], p[1], SIZE, SPLICE_F_NONBLOCK));
    drain(p[0]);
    CALL(tee(q[0], p[1], SIZE, 0));
    CALL(splice(p[0], NULL, out, NULL, SIZE, 0));
    NUM(held(p[0]));
    NUM(held(q[0]));
    CALL(lseek(big, 0, SEEK_CUR));
    MUST(fcntl(p[1], F_SETPIPE_SZ, SIZE));
    CALL(splice(big, &(loff_t){0}, p[1], NULL, 2 * SIZE, 0));
    CALL(splice(p[0], NULL, out, NULL, 2 * SIZE, 0));
    CALL(copy_file_range(big, &(loff_t){0}, out, &(loff_t){0}, 2 * SIZE, 0));
    renew();
    /* What the target does not take stays in the pipe. */
    fcntl(s[0], F_SETFL, O_NONBLOCK);
    fill(s[0]);
    MUST(write(p[1], "kept", 4));
    CALL(splice(p[0], NULL, s[0], NULL, 4, 0));
    NUM(held(p[0]));
    int full = MUST(open("/dev/full", O_RDWR));
    CALL(splice(p[0], NULL, full, NULL, 4, 0));
    CALL(splice(full, NULL, q[1], NULL, 4, 0));
    CALL(sendfile(full, in, NULL, 4));
    int random = MUST(open("/dev/urandom", O_RDWR));
    CALL(splice(random, NULL, q[1], NULL, 4, 0));
    CALL(splice(p[0], NULL, random, NULL, 4, 0));
    drain(q[0]);
    int proc = MUST(open("/proc/version", O_RDONLY));
    CALL(splice(proc, NULL, q[1], NULL, 5, 0));
    CALL(sendfile(out, proc, NULL, 2));
    CALL(copy_file_range(proc, NULL, out, NULL, 4, 0));
    int memory = MUST(memfd_create("m", 0));
    CALL(copy_file_range(memory, NULL, out, NULL, 4, 0));
}

int main(void) {
    setup();
    test_splice();
    test_tee();
    test_vmsplice();
    test_sendfile();
    test_copy_range();
    test_much();
    return 0;
}

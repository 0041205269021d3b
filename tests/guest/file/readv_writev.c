/* Vectored input and output, with offsets, flags and bad vectors. */
#include <sys/uio.h>
#include "t.h"

int main(void) {
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    static char room[4096];
    char a[4] = {0}, b[8] = {0};
    struct iovec out[3] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}};
    struct iovec in[2] = {{a, 3}, {b, 7}};
    CALL(writev(fd, out, 3));
    CALL(lseek(fd, 0, SEEK_SET));
    CALL(readv(fd, in, 2));
    SAY("%s %s", a, b);
    CALL(pwritev(fd, out, 3, 100));
    CALL(preadv(fd, in, 2, 100));
    CALL(preadv2(fd, in, 2, -1, 0));
    CALL(preadv2(fd, in, 2, 0, 0));
    CALL(preadv2(fd, in, 2, 0, 0x10000000));
    CALL(pwritev2(fd, out, 1, 0, RWF_APPEND));
    CALL(lseek(fd, 0, SEEK_END));
    CALL(writev(fd, out, -1));
    CALL(writev(fd, out, 0));
    CALL(writev(fd, out, 1025));
    CALL(writev(fd, BAD_POINTER, 1));
    struct iovec bad[2] = {{"ok", 2}, {BAD_POINTER, 3}};
    CALL(pwritev(fd, bad, 2, 200));
    CALL(pwritev(fd, bad + 1, 1, 200));
    struct iovec huge[2] = {{room, SSIZE_MAX}, {b, 8}};
    CALL(readv(fd, huge, 2));
    return 0;
}

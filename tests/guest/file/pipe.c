/* Pipes: capacity, atomicity limit, end of file, broken pipe, non-blocking ends. */
#include "t.h"

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    int p[2];
    CALL(pipe2(p, O_NONBLOCK));
    char c, block[4096] = {0};
    CALL(read(p[0], &c, 1));
    long total = 0;
    ssize_t got;
    while ((got = write(p[1], block, sizeof block)) > 0) {
        total += got;
    }
    SAY("%s after %ld", t_error(errno), total);
    CALL(write(p[1], "x", 1));
    CALL(read(p[0], block, 100));
    CALL(write(p[1], block, 4096));
    CALL(read(p[0], block, 3996));
    CALL(write(p[1], block, 4096));
    CALL(close(p[1]));
    total = 0;
    while ((got = read(p[0], block, sizeof block)) > 0) {
        total += got;
    }
    SAY("end %zd after %ld", got, total);
    CALL(pipe(p));
    CALL(write(p[1], "abc", 3));
    CALL(read(p[0], block, 2));
    CALL(write(p[0], "x", 1));
    CALL(read(p[1], &c, 1));
    CALL(close(p[0]));
    CALL(write(p[1], "x", 1));
    CALL(write(p[1], NULL, 0));
    CALL(pipe(BAD_POINTER));
    struct stat st;
    CALL(fstat(p[1], &st));
    SAY("mode %o size %lld", st.st_mode, (long long)st.st_size);
    return 0;
}

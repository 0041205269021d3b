/* statx: asked-for fields, birth time, flags and errors. */
#include "t.h"

int main(void) {
    t_put("f", "12345");
    struct statx sx;
    CALL(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx));
    IS((sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    NUM(sx.stx_size);
    NUM(sx.stx_nlink);
    NUM(sx.stx_mode);
    IS(sx.stx_ino != 0);
    IS(sx.stx_mtime.tv_sec > 0);
    int fd = MUST(open("f", O_RDONLY));
    CALL(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx));
    NUM(sx.stx_size);
    CALL(statx(fd, "", 0, STATX_SIZE, &sx));
    CALL(statx(AT_FDCWD, "missing", 0, STATX_SIZE, &sx));
    CALL(statx(AT_FDCWD, "f", 0x40000000, STATX_SIZE, &sx));
    CALL(statx(AT_FDCWD, "f", 0, 0x80000000, &sx));
    CALL(statx(AT_FDCWD, "f", 0, STATX_SIZE, BAD_POINTER));
    CALL(statx(99, "f", 0, STATX_SIZE, &sx));
    return 0;
}

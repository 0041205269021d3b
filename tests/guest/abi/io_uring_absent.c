/* Newer interfaces: io_uring is refused in some way, openat2 works. */
#include "t.h"

int main(void) {
    IS(syscall(425, 8, BAD_POINTER) == -1);
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    IS(fd >= 0);
    struct {
        uint64_t flags, mode, resolve;
    } how = {O_RDONLY, 0, 0};
    OK(syscall(437, AT_FDCWD, "f", &how, sizeof how));
    CALL(syscall(437, AT_FDCWD, "missing", &how, sizeof how));
    CALL(syscall(437, AT_FDCWD, "f", &how, 5));
    how.flags = 1ull << 40;
    CALL(syscall(437, AT_FDCWD, "f", &how, sizeof how));
    return 0;
}

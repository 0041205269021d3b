/* openat2: what RESOLVE_* forbids, and arguments that are refused. */
#include <linux/openat2.h>
#include <sys/syscall.h>
#include "t.h"

static long open2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve, size_t size) {
    struct { struct open_how how; uint64_t more; } arguments = {{flags, mode, resolve}, 0};
    if (size > sizeof arguments.how) {
        arguments.more = size == sizeof arguments ? 0 : 1;
    }
    long fd = syscall(SYS_openat2, dir, path, &arguments, size > 32 ? sizeof arguments : size);
    if (fd >= 0) {
        close((int)fd);
        fd = 0;
    }
    return fd;
}

int main(void) {
    size_t size = sizeof(struct open_how);
    MUST(mkdir("d", 0755));
    MUST(mkdir("d/e", 0755));
    t_put("d/f", "x");
    MUST(symlink("f", "d/inside"));
    MUST(symlink("../outside", "d/out"));
    MUST(symlink("/d/f", "d/absolute"));
    t_put("outside", "y");
    int d = MUST(open("d", O_RDONLY | O_DIRECTORY));
    CALL(open2(d, "f", O_RDONLY, 0, 0, size));
    CALL(open2(d, "f", O_RDONLY, 0, 0, size + 8));
    CALL(open2(d, "f", O_RDONLY, 0, 0, size - 8));
    CALL(open2(d, "f", O_RDONLY, 0, 0, size + 9));
    CALL(open2(d, "f", O_RDONLY, 0644, 0, size));
    CALL(open2(d, "f", O_RDONLY, 0, 1 << 20, size));
    CALL(open2(d, "f", 1ull << 40, 0, 0, size));
    CALL(open2(d, "new", O_CREAT | O_WRONLY, 0644, 0, size));
    CALL(open2(d, "new2", O_CREAT | O_WRONLY, 010644, 0, size));
    CALL(open2(d, "inside", O_RDONLY, 0, RESOLVE_NO_SYMLINKS, size));
    CALL(open2(d, "inside", O_RDONLY, 0, RESOLVE_BENEATH, size));
    CALL(open2(d, "out", O_RDONLY, 0, RESOLVE_BENEATH, size));
    CALL(open2(d, "../outside", O_RDONLY, 0, RESOLVE_BENEATH, size));
    CALL(open2(d, "e/../f", O_RDONLY, 0, RESOLVE_BENEATH, size));
    CALL(open2(d, "absolute", O_RDONLY, 0, RESOLVE_BENEATH, size));
    CALL(open2(d, "/f", O_RDONLY, 0, RESOLVE_IN_ROOT, size));
    CALL(open2(d, "../../f", O_RDONLY, 0, RESOLVE_IN_ROOT, size));
    CALL(open2(d, "f", O_RDONLY, 0, RESOLVE_IN_ROOT | RESOLVE_BENEATH, size));
    CALL(open2(AT_FDCWD, "/proc/self/exe", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS, size));
    CALL(open2(AT_FDCWD, "/proc/version", O_RDONLY, 0, RESOLVE_NO_XDEV, size));
    return 0;
}

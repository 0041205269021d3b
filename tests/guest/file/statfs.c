/* statfs of a tmpfs, of /proc, and of nothing. */
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include "t.h"

int main(void) {
    struct statfs fs;
    CALL(statfs(".", &fs));
    SAY("type %lx", (long)fs.f_type);
    NUM(fs.f_bsize);
    NUM(fs.f_namelen);
    IS(fs.f_bfree <= fs.f_blocks);
    CALL(statfs("/proc", &fs));
    SAY("type %lx", (long)fs.f_type);
    CALL(statfs("missing", &fs));
    CALL(statfs(".", BAD_POINTER));
    CALL(fstatfs(99, &fs));
    struct statvfs vfs;
    CALL(statvfs(".", &vfs));
    NUM(vfs.f_frsize);
    return 0;
}

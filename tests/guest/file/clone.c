/* FICLONE and FICLONERANGE where no file system shares blocks between files: what is refused first. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include "t.h"

int main(void) {
    int in = MUST(open("in", O_CREAT | O_RDWR, 0644)), out = MUST(open("out", O_CREAT | O_RDWR, 0644));
    int read_only = MUST(open("in", O_RDONLY)), write_only = MUST(open("out", O_WRONLY));
    int append = MUST(open("out", O_RDWR | O_APPEND)), folder = MUST(open(".", O_RDONLY)), ends[2];
    int elsewhere = MUST(open("/proc/self/stat", O_RDONLY)), path = MUST(open("in", O_PATH));
    MUST(pipe(ends));
    MUST(write(in, "12345", 5));
    CALL(ioctl(out, FICLONE, in));
    CALL(ioctl(out, FICLONE, read_only));
    CALL(ioctl(out, FICLONE, out));
    CALL(ioctl(read_only, FICLONE, out));
    CALL(ioctl(out, FICLONE, write_only));
    CALL(ioctl(append, FICLONE, in));
    CALL(ioctl(out, FICLONE, folder));
    CALL(ioctl(folder, FICLONE, in));
    CALL(ioctl(out, FICLONE, ends[0]));
    CALL(ioctl(ends[1], FICLONE, in));
    CALL(ioctl(out, FICLONE, elsewhere));
    CALL(ioctl(out, FICLONE, path));
    CALL(ioctl(path, FICLONE, in));
    CALL(ioctl(out, FICLONE, -1));
    struct file_clone_range range = {.src_fd = in, .src_length = 4};
    CALL(ioctl(out, FICLONERANGE, &range));
    range.src_fd = 99;
    CALL(ioctl(out, FICLONERANGE, &range));
    CALL(ioctl(out, FICLONERANGE, BAD_POINTER));
    return 0;
}

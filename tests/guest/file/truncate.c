/* truncate and ftruncate grow with zeros, shrink, and fail where they should. */
#include "t.h"

static void size_of(const char *path) {
    struct stat st;
    MUST(stat(path, &st));
    SAY("%s has %lld bytes", path, (long long)st.st_size);
}

int main(void) {
    t_put("f", "0123456789");
    CALL(truncate("f", 4));
    t_show("f");
    CALL(truncate("f", 8));
    char text[9] = {0};
    int fd = MUST(open("f", O_RDWR));
    CALL(read(fd, text, 8));
    IS(memcmp(text, "0123\0\0\0\0", 8) == 0);
    CALL(ftruncate(fd, 5000));
    size_of("f");
    CALL(ftruncate(fd, 4097));
    CALL(ftruncate(fd, 3));
    CALL(ftruncate(fd, 5000));
    IS(pread(fd, text, 8, 0) == 8 && memcmp(text, "012\0\0\0\0\0", 8) == 0);
    CALL(ftruncate(fd, -1));
    CALL(truncate("missing", 0));
    CALL(mkdir("d", 0755));
    CALL(truncate("d", 0));
    int reader = MUST(open("f", O_RDONLY));
    CALL(ftruncate(reader, 0));
    CALL(ftruncate(99, 0));
    int ends[2];
    MUST(pipe(ends));
    CALL(ftruncate(ends[1], 0));
    CALL(truncate(BAD_POINTER, 0));
    return 0;
}

/* mmap: arguments that must fail and those that only look odd. */
#include "t.h"

static void map(const char *what, void *at, size_t size, int rights, int flags, int fd, off_t from) {
    errno = 0;
    void *got = mmap(at, size, rights, flags, fd, from);
    SAY("%s: %s", what, got == MAP_FAILED ? t_error(errno) : "ok");
    if (got != MAP_FAILED) {
        munmap(got, size);
    }
}

int main(void) {
    enum { both = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS };
    t_put("f", "0123456789");
    int rw = MUST(open("f", O_RDWR)), ro = MUST(open("f", O_RDONLY)), wo = MUST(open("f", O_WRONLY));
    map("anonymous", NULL, 4096, both, anon, -1, 0);
    map("length 0", NULL, 0, both, anon, -1, 0);
    map("odd length", NULL, 5, both, anon, -1, 0);
    map("no type", NULL, 4096, both, MAP_ANONYMOUS, -1, 0);
    map("odd offset", NULL, 4096, both, MAP_PRIVATE, rw, 100);
    map("bad fd", NULL, 4096, both, MAP_PRIVATE, 99, 0);
    map("shared write, read-only fd", NULL, 4096, both, MAP_SHARED, ro, 0);
    map("private write, read-only fd", NULL, 4096, both, MAP_PRIVATE, ro, 0);
    map("write-only fd", NULL, 4096, PROT_READ, MAP_PRIVATE, wo, 0);
    map("beyond the end", NULL, 4096, both, MAP_SHARED, rw, 1 << 20);
    map("no rights", NULL, 4096, PROT_NONE, anon, -1, 0);
    map("too much", NULL, 1ul << 60, both, anon, -1, 0);
    map("wraps", NULL, SIZE_MAX, both, anon, -1, 0);
    map("fixed odd address", (void *)0x10000001, 4096, both, anon | MAP_FIXED, -1, 0);
    map("fixed in the kernel", KERNEL_POINTER, 4096, both, anon | MAP_FIXED, -1, 0);
    map("hint in the kernel", KERNEL_POINTER, 4096, both, anon, -1, 0);
    map("fixed", (void *)0x200000000000, 8192, both, anon | MAP_FIXED, -1, 0);
    map("odd hint", (void *)0x200000000123, 8192, both, anon, -1, 0);
    map("reserve a terabyte", NULL, 1ul << 40, PROT_NONE, anon | MAP_NORESERVE, -1, 0);
    map("populate", NULL, 65536, both, anon | MAP_POPULATE, -1, 0);
    map("stack", NULL, 65536, both, anon | MAP_STACK | MAP_GROWSDOWN, -1, 0);
    map("low 2 GiB", NULL, 4096, both, anon | MAP_32BIT, -1, 0);
    map("huge", NULL, 4 << 20, both, anon | MAP_NORESERVE, -1, 0);
    void *first = mmap(NULL, 4096, both, anon, -1, 0);
    void *again = mmap(first, 4096, both, anon | MAP_FIXED_NOREPLACE, -1, 0);
    SAY("no replacing: %s", again == MAP_FAILED ? t_error(errno) : "ok");
    void *low = mmap(NULL, 4096, both, anon | MAP_32BIT, -1, 0);
    IS((uintptr_t)low < 1ul << 31);
    int dir = MUST(open(".", O_RDONLY));
    map("directory", NULL, 4096, PROT_READ, MAP_PRIVATE, dir, 0);
    int ends[2];
    MUST(pipe(ends));
    map("pipe", NULL, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0);
    return 0;
}

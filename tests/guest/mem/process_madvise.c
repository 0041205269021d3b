/* process_madvise on one's own pidfd, which does what madvise does, range by range. */
#include <sys/uio.h>
#include "t.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#define PAGE 4096ul

static long advise(int fd, const struct iovec *ranges, unsigned long count, int advice,
                   unsigned flags) {
    return syscall(SYS_process_madvise, fd, ranges, count, advice, flags);
}

static char *fresh(void) {
    char *at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(at, 'a', 8 * PAGE);
    return at;
}

int main(void) {
    int self = (int)MUST(syscall(SYS_pidfd_open, getpid(), 0));
    char *at = fresh();
    struct iovec one = {at, 4 * PAGE};
    struct iovec two[2] = {{at, PAGE}, {at + 2 * PAGE, 2 * PAGE}};
    CALL(advise(self, &one, 1, MADV_COLD, 0));
    CALL(advise(self, two, 2, MADV_WILLNEED, 0));
    NUM(at[0]);
    CALL(advise(self, two, 2, MADV_DONTNEED, 0));
    SAY("%d %d %d %d %d", at[0], at[PAGE], at[2 * PAGE], at[3 * PAGE], at[4 * PAGE]);
    CALL(advise(self, NULL, 0, MADV_COLD, 0));
    CALL(advise(self, &one, 0, MADV_COLD, 0));
    CALL(advise(self, &one, 1, 99, 0));
    CALL(advise(self, &one, 0, 99, 0));
    CALL(advise(self, &one, 1, MADV_COLD, 1));
    CALL(advise(self, &one, 1025, MADV_COLD, 0));
    CALL(advise(self, BAD_POINTER, 1, MADV_COLD, 0));
    CALL(advise(-1, &one, 1, MADV_COLD, 0));
    CALL(advise(99, &one, 1, MADV_COLD, 0));
    CALL(advise(0, &one, 1, MADV_COLD, 0));
    CALL(advise(-1, &one, 1, MADV_COLD, 1));
    CALL(advise(-1, BAD_POINTER, 1, MADV_COLD, 0));
    struct iovec odd = {at + 1, PAGE}, short_one = {at, 100}, empty = {at, 0};
    CALL(advise(self, &odd, 1, MADV_COLD, 0));
    CALL(advise(self, &short_one, 1, MADV_COLD, 0));
    CALL(advise(self, &empty, 1, MADV_COLD, 0));
    /* A hole: what comes before it counts, unless it comes first. */
    MUST(munmap(at + 5 * PAGE, PAGE));
    struct iovec holed[3] = {{at, PAGE}, {at + 5 * PAGE, PAGE}, {at + 6 * PAGE, PAGE}};
    CALL(advise(self, holed, 3, MADV_COLD, 0));
    CALL(advise(self, holed + 1, 2, MADV_COLD, 0));
    struct iovec across = {at + 4 * PAGE, 4 * PAGE};
    CALL(advise(self, &across, 1, MADV_DONTNEED, 0));
    SAY("%d %d", at[4 * PAGE], at[7 * PAGE]);
    struct iovec kernel = {KERNEL_POINTER, PAGE};
    CALL(advise(self, &kernel, 1, MADV_COLD, 0));
    int folder = (int)MUST(open("/proc/self", O_DIRECTORY));
    CALL(advise(folder, &one, 1, MADV_COLD, 0));
    return 0;
}

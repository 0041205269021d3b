/* Restartable sequences: registered once by libc; a second registration is refused. */
#include <sys/rseq.h>
#include "t.h"

int main(void) {
    struct rseq_area {
        char bytes[32];
    } __attribute__((aligned(32))) area = {{0}};
    IS(__rseq_size == 0 || __rseq_size >= 20);
    errno = 0;
    long twice = syscall(SYS_rseq, &area, 5, 0, 0);
    IS(twice == -1);
    IS(errno == EINVAL || errno == EBUSY || errno == ENOSYS);
    return 0;
}

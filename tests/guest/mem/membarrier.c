/* membarrier: what is offered, registering first, refusals. */
#include <linux/membarrier.h>
#include "t.h"

int main(void) {
    long offered = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    IS(offered & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    IS(offered & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    CALL(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    CALL(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    CALL(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    CALL(syscall(SYS_membarrier, 1 << 20, 0, 0));
    CALL(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 5, 0));
    return 0;
}

/* Numbers that no system call has are ENOSYS. */
#include "t.h"

int main(void) {
    CALL(syscall(1000));
    CALL(syscall(400));
    CALL(syscall(-1));
    CALL(syscall(100000, 1, 2, 3, 4, 5, 6));
    CALL(syscall(SYS_getpid) == getpid());
    return 0;
}

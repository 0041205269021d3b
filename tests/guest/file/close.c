/* close and close_range: twice, unknown numbers, and reuse of the lowest number. */
#include <linux/close_range.h>
#include "t.h"

int main(void) {
    t_put("f", "x");
    for (int i = 0; i < 8; i++) {
        MUST(open("f", O_RDONLY));
    }
    CALL(close(5));
    CALL(close(5));
    CALL(close(-1));
    CALL(close(1 << 20));
    CALL(open("f", O_RDONLY));
    CALL(syscall(SYS_close_range, 6, 8, 0));
    CALL(fcntl(6, F_GETFD));
    CALL(fcntl(8, F_GETFD));
    CALL(fcntl(9, F_GETFD));
    CALL(syscall(SYS_close_range, 3, 4, CLOSE_RANGE_CLOEXEC));
    CALL(fcntl(3, F_GETFD));
    CALL(syscall(SYS_close_range, 9, 3, 0));
    CALL(syscall(SYS_close_range, 3, 9, 64));
    CALL(syscall(SYS_close_range, 3, ~0u, 0));
    CALL(open("f", O_RDONLY));
    return 0;
}

/* FS is the program's by arch_prctl; GS is the kernel's own on Kiln, which refuses to change it. The
 * instructions for both are there only where AT_HWCAP2 says so (docs/isolation.md).
 * @differs "syscall(SYS_arch_prctl, 0x1001, 0) = 0" => "syscall(SYS_arch_prctl, 0x1001, 0) = -1 EPERM"
 */
#include <setjmp.h>
#include <sys/auxv.h>
#include "t.h"

static sigjmp_buf back;

static void handler(int number) { siglongjmp(back, number); }

int main(void) {
    unsigned long fs = 0, again = 0, gs = 1;
    CALL(syscall(SYS_arch_prctl, 0x1003, &fs)); /* ARCH_GET_FS */
    CALL(syscall(SYS_arch_prctl, 0x1002, fs));
    CALL(syscall(SYS_arch_prctl, 0x1003, &again));
    IS(fs != 0 && fs == again);
    CALL(syscall(SYS_arch_prctl, 0x1004, &gs)); /* ARCH_GET_GS */
    NUM(gs);
    CALL(syscall(SYS_arch_prctl, 0x1001, 0)); /* ARCH_SET_GS */
    CALL(syscall(SYS_arch_prctl, 0x1002, 0xffff800000001000ul));
    t_handle(SIGILL, handler, 0);
    bool works = false;
    if (sigsetjmp(back, 1) == 0) {
        __asm__ volatile("rdfsbase %0" : "=r"(again));
        works = again == fs;
    }
    IS(works == ((getauxval(AT_HWCAP2) & 2) != 0));
    return 0;
}

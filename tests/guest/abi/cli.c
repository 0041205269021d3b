/* cli is a privileged instruction: it ends the program by SIGSEGV, but Kiln has one privilege level, so
 * there interrupts are off until the program next enters the kernel (docs/isolation.md).
 * @status signal 11 => exit 0
 */
#include "t.h"

int main(void) {
    SAY("before");
    __asm__ volatile("cli");
    if (getpid() > 0) {
        _exit(0);
    }
    return 1;
}

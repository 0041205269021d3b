/* hlt is a privileged instruction: it ends the program by SIGSEGV, but Kiln has one privilege level, so
 * there the processor pauses until the next interrupt (docs/isolation.md).
 * @status signal 11 => exit 0
 */
#include "t.h"

int main(void) {
    SAY("before");
    __asm__ volatile("hlt");
    return 0;
}

/* hlt is a privileged instruction: it ends the program by SIGSEGV. Kiln has one privilege level and sees
 * it when the next interrupt ends the pause.
 * @smp 1 2
 */
#include "t.h"

int main(void) {
    SAY("before");
    __asm__ volatile(".p2align 4\n hlt");
    SAY("after");
    return 0;
}

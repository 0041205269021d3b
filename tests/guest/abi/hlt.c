/* hlt is a privileged instruction: it ends the program by SIGSEGV. */
#include "t.h"

int main(void) {
    SAY("before");
    __asm__ volatile("hlt");
    SAY("after");
    return 0;
}

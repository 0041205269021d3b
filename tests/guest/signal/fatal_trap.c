/* A breakpoint instruction ends the program by SIGTRAP. */
#include "t.h"

int main(void) {
    SAY("before");
    __asm__ volatile("int3");
    return 0;
}

/* An undefined instruction ends the program by SIGILL. */
#include "t.h"

int main(void) {
    SAY("before");
    __asm__ volatile("ud2");
    return 0;
}

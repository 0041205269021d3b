/* A fault without a handler ends the program by SIGSEGV. */
#include "t.h"

int main(void) {
    SAY("before");
    *(volatile int *)BAD_POINTER = 1;
    SAY("after");
    return 0;
}

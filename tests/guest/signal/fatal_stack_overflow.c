/* Endless recursion ends in SIGSEGV at the stack's guard. */
#include "t.h"

static int deeper(volatile char *above) {
    volatile char here[1000];
    here[0] = above[0] + 1;
    return deeper(here) + here[0];
}

int main(void) {
    volatile char start[1] = {0};
    SAY("before");
    return deeper(start);
}

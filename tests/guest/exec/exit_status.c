/* Exit handlers run in reverse, and the low eight bits are the status. */
#include "t.h"

static void first(void) {
    SAY("registered first, runs last");
}

static void second(void) {
    SAY("registered second, runs first");
}

int main(void) {
    CALL(atexit(first));
    CALL(atexit(second));
    exit(0x1ff);
}

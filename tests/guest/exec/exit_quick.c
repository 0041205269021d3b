/* _exit skips the handlers. */
#include "t.h"

static void never(void) {
    SAY("not reached");
}

int main(void) {
    atexit(never);
    SAY("leaving");
    _exit(42);
}

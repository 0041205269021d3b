/* Signals ignored by default do nothing; SIGTERM's default ends the program. */
#include "t.h"

int main(void) {
    CALL(raise(SIGCHLD));
    CALL(raise(SIGURG));
    CALL(raise(SIGWINCH));
    CALL(raise(SIGCONT));
    SAY("still here");
    raise(SIGTERM);
    SAY("not reached");
    return 0;
}

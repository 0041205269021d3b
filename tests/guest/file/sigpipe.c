/* A write to a pipe that nobody reads ends the program by SIGPIPE. */
#include "t.h"

int main(void) {
    int p[2];
    CALL(pipe(p));
    CALL(close(p[0]));
    SAY("before");
    write(p[1], "x", 1);
    SAY("after");
    return 0;
}

/* What goes to standard error does not come out of standard output. */
#include "t.h"

int main(void) {
    fprintf(stderr, "this is for standard error\n");
    SAY("this is for standard output");
    CALL(close(2));
    CALL(write(2, "x", 1));
    CALL(dup2(1, 2));
    fprintf(stderr, "and this came round\n");
    return 3;
}

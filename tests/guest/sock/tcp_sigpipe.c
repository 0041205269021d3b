/* Writing to a connection that is shut ends the program by SIGPIPE unless told not to. */
#include "net.h"

int main(void) {
    int s[2];
    n_pair(s);
    CALL(shutdown(s[0], SHUT_WR));
    CALL(send(s[0], "x", 1, MSG_NOSIGNAL));
    SAY("now without");
    write(s[0], "x", 1);
    SAY("not reached");
    return 0;
}

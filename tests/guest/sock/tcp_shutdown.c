/* shutdown of each direction: what the other side reads, what this side may still do. */
#include "net.h"

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    int s[2];
    char text[16] = {0};
    n_pair(s);
    CALL(write(s[0], "last", 4));
    CALL(shutdown(s[0], SHUT_WR));
    CALL(read(s[1], text, 16));
    CALL(read(s[1], text, 16));
    CALL(read(s[1], text, 16));
    SAY("%x", n_await(s[1], POLLIN | POLLOUT | POLLRDHUP));
    CALL(write(s[0], "x", 1));
    CALL(write(s[1], "answer", 6));
    memset(text, 0, 16);
    CALL(read(s[0], text, 16));
    SAY("%s", text);
    CALL(shutdown(s[1], SHUT_WR));
    CALL(read(s[0], text, 16));
    SAY("%x", n_await(s[0], POLLIN | POLLOUT | POLLRDHUP));
    CALL(shutdown(s[0], 9));
    n_pair(s);
    CALL(shutdown(s[0], SHUT_RD));
    CALL(read(s[0], text, 1));
    CALL(write(s[0], "still", 5));
    CALL(read(s[1], text, 16));
    return 0;
}

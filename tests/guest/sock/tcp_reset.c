/* Abortive close by linger zero and by closing with unread data: ECONNRESET, then EPIPE. */
#include "net.h"

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    int s[2];
    char text[16];
    n_pair(s);
    struct linger hard = {1, 0};
    CALL(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
    CALL(close(s[0]));
    IS(n_await(s[1], POLLIN) & POLLERR);
    CALL(read(s[1], text, 16));
    CALL(read(s[1], text, 16));
    CALL(write(s[1], "x", 1));
    n_pair(s);
    CALL(write(s[1], "unread", 6));
    IS(n_await(s[0], POLLIN) == POLLIN);
    CALL(close(s[0]));
    IS(n_await(s[1], POLLIN) & POLLHUP);
    CALL(write(s[1], "x", 1));
    n_pair(s);
    CALL(close(s[0]));
    IS(n_await(s[1], POLLIN) == POLLIN);
    CALL(write(s[1], "first", 5));
    while (!(n_await(s[1], POLLIN) & POLLERR)) {
        t_pause_ms(1);
    }
    int error = 0;
    CALL(getsockopt(s[1], SOL_SOCKET, SO_ERROR, &error, &(socklen_t){4}));
    SAY("%s", t_error(error));
    CALL(write(s[1], "second", 6));
    return 0;
}

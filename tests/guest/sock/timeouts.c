/* SO_RCVTIMEO and SO_SNDTIMEO end blocking calls with EAGAIN in time. */
#include "net.h"

int main(void) {
    int s[2];
    char block[65536] = {0};
    n_pair(s);
    struct timeval limit = {0, 50000};
    MUST(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    MUST(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
    int64_t begun = t_now_ns();
    CALL(read(s[0], block, 1));
    IS(t_now_ns() - begun >= 49000000);
    begun = t_now_ns();
    ssize_t got;
    while ((got = write(s[0], block, sizeof block)) > 0) {
    }
    SAY("%s", t_error(errno));
    IS(t_now_ns() - begun >= 49000000);
    int listener = n_listener();
    MUST(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    CALL(accept(listener, NULL, NULL));
    return 0;
}

/* select and pselect: three sets, time left, bad descriptors, bad time. */
#include <sys/select.h>
#include "t.h"

int main(void) {
    int p[2];
    MUST(pipe(p));
    fd_set in, out, other;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&other);
    FD_SET(p[0], &in);
    FD_SET(p[1], &out);
    struct timeval none = {0, 0};
    CALL(select(p[1] + 1, &in, &out, &other, &none));
    SAY("%d %d", !!FD_ISSET(p[0], &in), !!FD_ISSET(p[1], &out));
    MUST(write(p[1], "x", 1));
    FD_SET(p[0], &in);
    FD_SET(p[1], &out);
    CALL(select(p[1] + 1, &in, &out, NULL, NULL));
    SAY("%d %d", !!FD_ISSET(p[0], &in), !!FD_ISSET(p[1], &out));
    struct timeval some = {5, 0};
    FD_ZERO(&out);
    CALL(select(p[0] + 1, &in, NULL, NULL, &some));
    IS(some.tv_sec == 4 || some.tv_sec == 5);
    char c;
    read(p[0], &c, 1);
    struct timeval brief = {0, 30000};
    int64_t begun = t_now_ns();
    CALL(select(p[0] + 1, &in, NULL, NULL, &brief));
    IS(t_now_ns() - begun >= 30000000);
    NUM(brief.tv_sec + brief.tv_usec);
    FD_ZERO(&in);
    /* Below 64: Linux looks no further than its table of descriptors, which starts with 64. */
    FD_SET(60, &in);
    CALL(select(61, &in, NULL, NULL, &none));
    CALL(select(-1, NULL, NULL, NULL, &none));
    struct timeval negative = {-1, 0};
    CALL(select(0, NULL, NULL, NULL, &negative));
    CALL(select(10, BAD_POINTER, NULL, NULL, &none));
    struct timespec left = {0, 20000000};
    CALL(pselect(0, NULL, NULL, NULL, &left, NULL));
    NUM(left.tv_nsec);
    return 0;
}

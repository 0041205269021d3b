/* poll: negative and closed descriptors, files, pipes' ends, time-outs, bad pointers. */
#include <poll.h>
#include "t.h"

int main(void) {
    int p[2], q[2];
    MUST(pipe(p));
    MUST(pipe(q));
    int file = MUST(open("f", O_CREAT | O_RDWR, 0644));
    struct pollfd fds[6] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0},  {-1, POLLIN, 7},
                            {99, POLLIN, 0},   {file, POLLIN | POLLOUT, 0}, {q[0], POLLIN, 0}};
    close(q[1]);
    CALL(poll(fds, 6, 0));
    for (int i = 0; i < 6; i++) {
        SAY("%d: %x", i, fds[i].revents);
    }
    MUST(write(p[1], "x", 1));
    CALL(poll(fds, 1, -1));
    NUM(fds[0].revents);
    close(p[0]);
    CALL(poll(fds + 1, 1, 0));
    NUM(fds[1].revents);
    int64_t begun = t_now_ns();
    CALL(poll(NULL, 0, 40));
    IS(t_now_ns() - begun >= 40000000);
    CALL(poll(BAD_POINTER, 1, 0));
    CALL(poll(fds, -1, 0));
    struct timespec none = {0, 0}, bad = {0, -1};
    CALL(ppoll(fds + 4, 1, &none, NULL));
    CALL(ppoll(fds + 4, 1, &bad, NULL));
    return 0;
}

/* poll and select on as many descriptors as a process may have, whatever that number is. */
#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include "t.h"

#define MOST 65000

static struct pollfd fds[MOST];
static unsigned char in[MOST / 8 + 8], out[MOST / 8 + 8];

/* select on a high descriptor whose lower ones are closed, and on a low one. */
static void select_high(const int *p, int high) {
    IS(dup2(p[0], high) == high);
    in[high / 8] = 1 << (high % 8);
    out[p[1] / 8] = (unsigned char)(1 << (p[1] % 8));
    CALL(select(high + 1, (fd_set *)in, (fd_set *)out, NULL, NULL));
    IS(in[high / 8] != 0);
    IS(out[p[1] / 8] != 0);
    close(high);
    CALL(select(high + 1, (fd_set *)in, NULL, NULL, NULL));
}

int main(void) {
    struct rlimit files;
    MUST(getrlimit(RLIMIT_NOFILE, &files));
    files.rlim_cur = files.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &files));
    const int count = files.rlim_max < MOST ? (int)files.rlim_max : MOST;
    int p[2];
    MUST(pipe(p));
    for (int i = 0; i < count; i++) {
        fds[i] = (struct pollfd){i % 2 == 0 ? p[0] : p[1], POLLIN | POLLOUT, 77};
    }
    IS(poll(fds, count, 0) == count / 2);
    MUST(write(p[1], "x", 1));
    IS(poll(fds, count, -1) == count);
    SAY("%x %x", fds[count - 2].revents, fds[count - 1].revents);
    volatile nfds_t over = files.rlim_max + 1;
    CALL(poll(fds, over, 0));
    select_high(p, 10000);
    select_high(p, count - 1);
    char byte;
    MUST(read(p[0], &byte, 1));
    /* Waiting, too: nothing is ready until the time is over. */
    for (int i = 0; i < count; i++) {
        fds[i].fd = p[0];
        fds[i].events = POLLIN;
    }
    CALL(poll(fds, count, 20));
    NUM(fds[count - 1].revents);
    return 0;
}

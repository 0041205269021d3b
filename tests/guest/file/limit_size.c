/* RLIMIT_FSIZE: a write is cut at the limit; beyond it SIGXFSZ and EFBIG. */
#include <signal.h>
#include <sys/resource.h>
#include "t.h"

static volatile sig_atomic_t signals;

static void count(int signo) {
    signals += signo == SIGXFSZ;
}

int main(void) {
    signal(SIGXFSZ, count);
    struct rlimit limit = {1000, RLIM_INFINITY};
    CALL(setrlimit(RLIMIT_FSIZE, &limit));
    static char bytes[3000];
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0600));
    CALL(write(fd, bytes, 600));
    CALL(write(fd, bytes, 600));
    SAY("signals %d", (int)signals);
    CALL(write(fd, bytes, 1));
    SAY("signals %d", (int)signals);
    CALL(pwrite(fd, bytes, 10, 995));
    CALL(ftruncate(fd, 1000));
    CALL(ftruncate(fd, 1001));
    SAY("signals %d", (int)signals);
    struct stat st;
    CALL(fstat(fd, &st));
    SAY("size %lld", (long long)st.st_size);
    return 0;
}

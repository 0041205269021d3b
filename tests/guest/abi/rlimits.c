/* getrlimit, setrlimit and prlimit: what is set is read back and holds. */
#include <sys/resource.h>
#include "t.h"

int main(void) {
    struct rlimit limit, got;
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        if (getrlimit(i, &limit) || limit.rlim_cur > limit.rlim_max) {
            SAY("limit %d is odd", i);
        }
    }
    limit = (struct rlimit){100, 200};
    CALL(setrlimit(RLIMIT_NOFILE, &limit));
    CALL(prlimit(0, RLIMIT_NOFILE, NULL, &got));
    SAY("%d %d", (int)got.rlim_cur, (int)got.rlim_max);
    limit.rlim_cur = 300;
    CALL(setrlimit(RLIMIT_NOFILE, &limit));
    CALL(getrlimit(99, &limit));
    CALL(prlimit(0, RLIMIT_CORE, &(struct rlimit){0, 0}, &got));
    CALL(prlimit(0x3fffffff, RLIMIT_CORE, NULL, &got));
    CALL(getrlimit(RLIMIT_NOFILE, BAD_POINTER));
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    signal(SIGXFSZ, SIG_IGN);
    CALL(setrlimit(RLIMIT_FSIZE, &(struct rlimit){10, RLIM_INFINITY}));
    CALL(write(fd, "123456789012345", 15));
    CALL(write(fd, "x", 1));
    CALL(setrlimit(RLIMIT_AS, &(struct rlimit){512 << 20, RLIM_INFINITY}));
    CALL(mmap(NULL, 1 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    return 0;
}

/* The main stack grows by itself to megabytes. */
#include <sys/resource.h>
#include "t.h"

static long deep(int levels) {
    volatile char block[4000];
    block[0] = levels;
    block[3999] = levels;
    return levels == 0 ? 0 : deep(levels - 1) + (block[0] == block[3999]);
}

int main(void) {
    struct rlimit limit;
    CALL(getrlimit(RLIMIT_STACK, &limit));
    IS(limit.rlim_cur >= 8 << 20);
    NUM(deep(900));
    volatile char jump[3 << 20];
    jump[0] = 1;
    NUM(jump[0]);
    return 0;
}

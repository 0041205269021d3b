/* kill of oneself by SIGKILL, which cannot be blocked. */
#include "t.h"

int main(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    SAY("before");
    kill(getpid(), SIGKILL);
    SAY("after");
    return 0;
}

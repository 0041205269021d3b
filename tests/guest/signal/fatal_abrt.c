/* abort ends the program by SIGABRT, also when it is blocked or ignored. */
#include "t.h"

int main(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGABRT, SIG_IGN);
    SAY("before");
    abort();
}

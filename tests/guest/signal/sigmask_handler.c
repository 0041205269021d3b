/* In a handler its own signal and sa_mask are blocked; SA_NODEFER lets it nest. */
#include "t.h"

static volatile int depth, deepest;

static void handler(int number) {
    sigset_t now;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    sigprocmask(SIG_SETMASK, NULL, &now);
    SAY("signal %d: usr1 blocked %d usr2 blocked %d", number, sigismember(&now, SIGUSR1),
        sigismember(&now, SIGUSR2));
    if (depth < 3) {
        raise(number);
    }
    depth--;
}

int main(void) {
    struct sigaction action = {0};
    action.sa_handler = handler;
    sigaddset(&action.sa_mask, SIGUSR2);
    MUST(sigaction(SIGUSR1, &action, NULL));
    depth = 2;
    raise(SIGUSR1);
    depth = 0;
    deepest = 0;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_NODEFER;
    MUST(sigaction(SIGUSR2, &action, NULL));
    raise(SIGUSR2);
    NUM(deepest);
    sigset_t now;
    sigprocmask(SIG_SETMASK, NULL, &now);
    IS(sigisemptyset(&now));
    return 0;
}

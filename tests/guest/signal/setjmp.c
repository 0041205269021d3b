/* setjmp and siglongjmp out of a handler, with and without the mask. */
#include <setjmp.h>
#include "t.h"

static sigjmp_buf back;

static void handler(int number) {
    (void)number;
    siglongjmp(back, 7);
}

static int blocked(void) {
    sigset_t now;
    sigprocmask(SIG_SETMASK, NULL, &now);
    return sigismember(&now, SIGUSR1);
}

int main(void) {
    t_handle(SIGUSR1, handler, 0);
    int came = sigsetjmp(back, 1);
    if (!came) {
        raise(SIGUSR1);
    }
    SAY("came %d blocked %d", came, blocked());
    came = sigsetjmp(back, 0);
    if (!came) {
        raise(SIGUSR1);
    }
    SAY("came %d blocked %d", came, blocked());
    jmp_buf plain;
    volatile int rounds = 0;
    if (setjmp(plain) < 3) {
        rounds++;
        longjmp(plain, rounds);
    }
    NUM(rounds);
    return 0;
}

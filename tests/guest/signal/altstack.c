/* sigaltstack: handlers run there, also after the main stack overflowed. */
#include <setjmp.h>
#include "t.h"

static char *stack;
static sigjmp_buf back;

static void handler(int number) {
    char here;
    stack_t now;
    sigaltstack(NULL, &now);
    SAY("%d on the other stack: %d flags %d", number, &here >= stack && &here < stack + 65536,
        now.ss_flags);
    stack_t change = {.ss_sp = stack, .ss_size = 65536};
    CALL(sigaltstack(&change, NULL));
    if (number == SIGSEGV) {
        siglongjmp(back, 1);
    }
}

static int deeper(volatile char *above) {
    volatile char here[1000];
    here[0] = above[0] + 1;
    return deeper(here) + here[0];
}

int main(void) {
    stack = malloc(65536);
    stack_t alternative = {.ss_sp = stack, .ss_size = 65536}, old;
    CALL(sigaltstack(&alternative, NULL));
    CALL(sigaltstack(NULL, &old));
    IS(old.ss_sp == stack && old.ss_size == 65536 && old.ss_flags == 0);
    t_handle(SIGUSR1, handler, SA_ONSTACK);
    t_handle(SIGUSR2, handler, 0);
    t_handle(SIGSEGV, handler, SA_ONSTACK);
    raise(SIGUSR1);
    raise(SIGUSR2);
    volatile char start[1] = {0};
    if (!sigsetjmp(back, 1)) {
        deeper(start);
    }
    SAY("survived");
    stack_t small = {.ss_sp = stack, .ss_size = 100};
    CALL(sigaltstack(&small, NULL));
    stack_t flags = {.ss_sp = stack, .ss_size = 65536, .ss_flags = 77};
    CALL(sigaltstack(&flags, NULL));
    stack_t off = {.ss_flags = SS_DISABLE};
    CALL(sigaltstack(&off, NULL));
    CALL(sigaltstack(NULL, &old));
    NUM(old.ss_flags);
    CALL(sigaltstack(BAD_POINTER, NULL));
    return 0;
}

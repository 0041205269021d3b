/* Running data faults: no-execute is in force. */
#include <setjmp.h>
#include "t.h"

static sigjmp_buf back;

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    SAY("%d code %d", number, info->si_code);
    siglongjmp(back, 1);
}

int main(void) {
    struct sigaction action = {0};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    MUST(sigaction(SIGSEGV, &action, NULL));
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    code[0] = 0xb8; /* mov $42, %eax; ret */
    code[1] = 42;
    code[2] = code[3] = code[4] = 0;
    code[5] = 0xc3;
    if (sigsetjmp(back, 1) == 0) {
        NUM(((int (*)(void))code)());
    }
    MUST(mprotect(code, 4096, PROT_READ | PROT_EXEC));
    NUM(((int (*)(void))code)());
    if (sigsetjmp(back, 1) == 0) {
        code[1] = 43;
    }
    if (sigsetjmp(back, 1) == 0) {
        ((int (*)(void))NULL)();
    }
    return 0;
}

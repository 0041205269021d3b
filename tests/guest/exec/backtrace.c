/* backtrace finds the callers, also through a signal handler.
 * @build nopie -rdynamic
 */
#include <execinfo.h>
#include "t.h"

static int frames_of(const char *name) {
    void *frames[64];
    int count = backtrace(frames, 64), found = 0;
    char **names = backtrace_symbols(frames, count);
    for (int i = 0; i < count; i++) {
        found += strstr(names[i], name) != NULL;
    }
    free(names);
    return found;
}

static void handler(int number) {
    (void)number;
    SAY("outer seen from the handler: %d", frames_of("(outer+"));
}

__attribute__((noinline)) void inner(void) {
    SAY("outer seen: %d", frames_of("(outer+"));
    raise(SIGUSR1);
    __asm__ volatile("");
}

__attribute__((noinline)) void outer(void) {
    inner();
    __asm__ volatile("");
}

int main(void) {
    t_handle(SIGUSR1, handler, 0);
    outer();
    return 0;
}

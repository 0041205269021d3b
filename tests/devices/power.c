/* Waits to be asked to end. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void end(int signal) {
    static const char text[] = "asked to end\n";
    (void)!write(1, text, sizeof text - 1);
    _exit(signal == SIGTERM ? 9 : 1);
}

int main(void) {
    signal(SIGTERM, end);
    puts("waiting");
    fflush(stdout);
    for (;;) {
        pause();
    }
}

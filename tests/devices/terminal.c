/* Asks a terminal to say by signal when something was typed, and says what it did. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    char line[64];
    siginfo_t info;
    sigset_t set;
    setvbuf(stdout, NULL, _IONBF, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_ASYNC | O_NONBLOCK);
    printf("owner %s\n", fcntl(0, F_GETOWN) == getpid() ? "set" : "missing");
    printf("type\n");
    ssize_t got = -1;
    while (got < 0) {
        sigwaitinfo(&set, &info);
        printf("signal %d\n", info.si_signo == SIGIO);
        got = read(0, line, sizeof line);
    }
    printf("read %zd\n", got);
    return 7;
}

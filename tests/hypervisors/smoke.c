/* What every machine is asked to do: write a disk and read it back, echo what comes over TCP, and end,
 * by itself or when the machine's power button is pressed.
 *
 *   smoke DISK MEGABYTES      DISK may be `none`
 *
 * Port 7 echoes; a connection to port 8 ends the program. The parts are the programs of the tests of
 * devices (disk.c, nic.c), linked in under other names. */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int disk_main(int count, char **words);
int nic_main(void);

static void asked(int signal) {
    static const char text[] = "asked to end\n";
    (void)!write(1, text, sizeof text - 1);
    _exit(signal == SIGTERM ? 9 : 1);
}

static void *end_by_itself(void *unused) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(8)};
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    if (bind(listener, (void *)&address, sizeof address) != 0 || listen(listener, 5) != 0 ||
        accept(listener, 0, 0) < 0) {
        perror("port 8");
        exit(1);
    }
    puts("ends by itself");
    exit(0);
    return unused;
}

int main(int count, char **words) {
    pthread_t thread;
    signal(SIGTERM, asked);
    if (count != 3) {
        return 2;
    }
    if (strcmp(words[1], "none") != 0) {
        char *both[] = {words[0], words[1], "write", words[2], "7"};
        if (disk_main(5, both) != 0) {
            return 3;
        }
        fflush(stdout);
    }
    if (pthread_create(&thread, 0, end_by_itself, 0) != 0) {
        return 4;
    }
    return nic_main();
}

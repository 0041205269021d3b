// What tests/run boots: does what its first argument says.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static int tell(int count, char **words) {
    char folder[256];
    struct sysinfo memory;
    for (int i = 0; i < count; ++i) {
        printf("[%s]\n", words[i]);
    }
    sysinfo(&memory);
    printf("GREETING=%s\nEMPTY=%s\n", getenv("GREETING"), getenv("EMPTY"));
    printf("cwd %s\n%ld CPUs\n", getcwd(folder, sizeof folder), sysconf(_SC_NPROCESSORS_ONLN));
    printf("%lu MiB\n", memory.totalram * memory.mem_unit >> 20);
    return 0;
}

static int write_files(int count, char **paths) {
    for (int i = 0; i < count; ++i) {
        const int fd = open(paths[i], O_CREAT | O_WRONLY, 0644);
        printf("%s:%d\n", paths[i], fd < 0 ? errno : 0);
    }
    return 0;
}

static int copy(void) {
    static char buffer[65536];
    ssize_t got = 0;
    while ((got = read(0, buffer, sizeof buffer)) > 0) {
        for (ssize_t done = 0; done < got;) {
            const ssize_t put = write(1, buffer + done, (size_t)(got - done));
            if (put < 0) {
                return 1;
            }
            done += put;
        }
    }
    return got < 0;
}

// A fault under a stack of calls, so that the kernel has much to report.
__attribute__((noinline)) static int fall(int calls) {
    static volatile int *const nowhere = NULL;
    return (calls == 0 ? *nowhere : fall(calls - 1)) + 1;
}

// A bound socket of a family; the port is in the same place in both kinds of address.
static int bound(int family, int kind, const char *port) {
    struct sockaddr_in6 here = {.sin6_family = (sa_family_t)family,
                                .sin6_port = htons((in_port_t)atoi(port))};
    const socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof here;
    const int made = socket(family, kind, 0);
    return bind(made, (struct sockaddr *)&here, size) == 0 ? made : -1;
}

// The last port is for UDP. Each answers with its number.
static int serve(int family, int count, char **ports) {
    struct pollfd sockets[8];
    for (int i = 0; i < count; ++i) {
        const int kind = i == count - 1 ? SOCK_DGRAM : SOCK_STREAM;
        sockets[i] = (struct pollfd){.fd = bound(family, kind, ports[i]), .events = POLLIN};
        if (sockets[i].fd < 0) {
            return 1;
        }
        listen(sockets[i].fd, 5);
    }
    for (;;) {
        poll(sockets, (nfds_t)count, -1);
        for (int i = 0; i < count; ++i) {
            char request[100];
            struct sockaddr_in6 from;
            socklen_t size = sizeof from;
            if (sockets[i].revents == 0) {
                continue;
            }
            if (i == count - 1) {
                recvfrom(sockets[i].fd, request, sizeof request, 0, (struct sockaddr *)&from, &size);
                sendto(sockets[i].fd, ports[i], strlen(ports[i]), 0, (struct sockaddr *)&from, size);
            } else {
                const int client = accept(sockets[i].fd, NULL, NULL);
                read(client, request, sizeof request);
                write(client, ports[i], strlen(ports[i]));
                close(client);
            }
        }
    }
}

static void on_quit(int number) {
    (void)number;
    write(1, "quit\n", 5);
}

// Until a second SIGQUIT, idle or not.
static int be_asked(int busy) {
    struct sigaction action = {.sa_handler = on_quit, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGQUIT, &action, NULL);
    write(1, "ready\n", 6);
    for (;;) {
        if (!busy) {
            pause();
        }
    }
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "exit";
    const int number = count > 2 ? atoi(words[2]) : 0;
    if (strcmp(what, "exit") == 0) {
        return number;
    }
    if (strcmp(what, "raise") == 0) {
        return raise(number);
    }
    if (strcmp(what, "sleep") == 0) {
        puts("sleeping");
        fflush(stdout);
        return (int)sleep((unsigned)number);
    }
    if (strcmp(what, "tell") == 0) {
        return tell(count - 2, words + 2);
    }
    if (strcmp(what, "write") == 0) {
        return write_files(count - 2, words + 2);
    }
    if (strcmp(what, "copy") == 0) {
        return copy();
    }
    if (strcmp(what, "serve") == 0) {
        return serve(AF_INET, count - 2, words + 2);
    }
    if (strcmp(what, "serve6") == 0) {
        return serve(AF_INET6, count - 2, words + 2);
    }
    if (strcmp(what, "fall") == 0) {
        return fall((int)number);
    }
    if (strcmp(what, "quit") == 0) {
        return be_asked(number);
    }
    if (strcmp(what, "errors") == 0) {
        fputs("err\n", stderr);
        puts("out");
        return 0;
    }
    return 99;
}

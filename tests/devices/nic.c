/* Echoes every TCP connection to port 7, each in a thread, and says when the first network card's link
 * comes and goes. Ends with standard input, and says what each of the card's queues has moved. */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void fail(const char *what) {
    perror(what);
    exit(1);
}

static void *echo(void *argument) {
    static _Thread_local unsigned char buffer[65536];
    int peer = (int)(intptr_t)argument;
    ssize_t got;
    while ((got = read(peer, buffer, sizeof buffer)) > 0) {
        for (ssize_t sent = 0; sent < got;) {
            ssize_t piece = write(peer, buffer + sent, (size_t)(got - sent));
            if (piece < 0) {
                fail("write");
            }
            sent += piece;
        }
    }
    close(peer);
    return 0;
}

static void *serve(void *argument) {
    int listener = (int)(intptr_t)argument;
    for (;;) {
        pthread_t thread;
        int peer = accept(listener, 0, 0);
        if (peer < 0 || pthread_create(&thread, 0, echo, (void *)(intptr_t)peer) != 0) {
            fail("accept");
        }
        pthread_detach(thread);
    }
    return 0;
}

static void *watch_link(void *unused) {
    int running = -1, probe = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq request;
    (void)unused;
    for (;;) {
        memset(&request, 0, sizeof request);
        strcpy(request.ifr_name, "eth0");
        if (ioctl(probe, SIOCGIFFLAGS, &request) != 0) {
            fail("eth0");
        }
        int now = (request.ifr_flags & IFF_RUNNING) != 0;
        if (now != running) {
            running = now;
            puts(now ? "link up" : "link down");
            fflush(stdout);
        }
        usleep(10000);
    }
    return 0;
}

static void ask(int probe, void *what) {
    struct ifreq request = {.ifr_name = "eth0", .ifr_data = what};
    if (ioctl(probe, SIOCETHTOOL, &request) != 0) {
        fail("ethtool");
    }
}

static void say_queues(void) {
    static union {
        struct ethtool_gstrings names;
        char room[65536];
    } first;
    static union {
        struct ethtool_stats values;
        char room[65536];
    } second;
    int probe = socket(AF_INET, SOCK_DGRAM, 0);
    first.names.cmd = ETHTOOL_GSTRINGS;
    first.names.string_set = ETH_SS_STATS;
    second.values.cmd = ETHTOOL_GSTATS;
    ask(probe, &first);
    ask(probe, &second);
    for (unsigned i = 0; i < first.names.len && i < second.values.n_stats; ++i) {
        printf("%s %llu\n", (char *)first.names.data + i * ETH_GSTRING_LEN, second.values.data[i]);
    }
}

int main(void) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    if (bind(listener, (void *)&address, sizeof address) != 0 || listen(listener, 50) != 0) {
        fail("listen");
    }
    pthread_t thread;
    if (pthread_create(&thread, 0, serve, (void *)(intptr_t)listener) != 0 ||
        pthread_create(&thread, 0, watch_link, 0) != 0) {
        fail("thread");
    }
    char byte;
    while (read(0, &byte, 1) > 0) {
    }
    say_queues();
    return 0;
}

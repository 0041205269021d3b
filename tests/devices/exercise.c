/* Makes every device work: reads a file from the disk, takes standard input to its end, echoes one
 * TCP connection, asks for random bytes, and says what it saw. Status 42 when all went well. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <unistd.h>

static unsigned char buffer[65536];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void digest(const char *name, int from) {
    uint64_t hash = 14695981039346656037u, total = 0;
    for (;;) {
        ssize_t got = read(from, buffer, sizeof buffer);
        if (got < 0) {
            fail(name);
        }
        if (got == 0) {
            break;
        }
        for (ssize_t i = 0; i < got; ++i) {
            hash = (hash ^ buffer[i]) * 1099511628211u;
        }
        total += (uint64_t)got;
    }
    printf("%s %llu %016llx\n", name, (unsigned long long)total, (unsigned long long)hash);
    fflush(stdout);
}

static void echo(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (void *)&address, sizeof address) != 0 || listen(listener, 5) != 0) {
        fail("listen");
    }
    int peer = accept(listener, 0, 0);
    if (peer < 0) {
        fail("accept");
    }
    uint64_t total = 0;
    for (;;) {
        ssize_t got = read(peer, buffer, sizeof buffer);
        if (got < 0) {
            fail("receive");
        }
        if (got == 0) {
            break;
        }
        for (ssize_t sent = 0; sent < got;) {
            ssize_t piece = write(peer, buffer + sent, (size_t)(got - sent));
            if (piece < 0) {
                fail("send");
            }
            sent += piece;
        }
        total += (uint64_t)got;
    }
    close(peer);
    printf("echoed %llu\n", (unsigned long long)total);
}

int main(int count, char **words) {
    int file = open("/data", O_RDONLY);
    if (file < 0) {
        fail("/data");
    }
    digest("file", file);
    digest("input", 0);
    unsigned char random[64];
    printf("random %d\n", (int)getrandom(random, sizeof random, 0));
    if (count > 1) {
        echo(atoi(words[1]));
    }
    fprintf(stderr, "done\n");
    return 42;
}

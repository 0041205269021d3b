/*
 * Asks a memcached by its text protocol, over many connections at once, one request in flight on each,
 * and prints how many requests a second were answered. Every answer is compared with what it has to be.
 *
 * Usage: memcached_load PORT set|get CONNECTIONS REQUESTS
 *
 * There are 10,000 keys with 100 bytes each; a run of sets with as many requests writes them all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 10000, SIZE = 100, ANSWER = 256, MOST = 512 };

struct connection {
    int fd;
    size_t have;
    char wanted[ANSWER], got[ANSWER];
};

static struct connection connections[MOST];
static int setting;
static long left, begun;

static void stop(const char *what) {
    fprintf(stderr, "memcached_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Of a key: as many letters as a value has, the same each time. */
static void write_value(char *to, long key) {
    for (int at = 0; at < SIZE; at++) {
        to[at] = 'a' + (key * 31 + at * 7) % 26;
    }
    to[SIZE] = 0;
}

static void ask(struct connection *connection) {
    char request[ANSWER], value[SIZE + 1];
    long key = begun++ % KEYS;
    int size;
    write_value(value, key);
    connection->have = 0;
    if (setting) {
        size = snprintf(request, sizeof request, "set key%ld 0 0 %d\r\n%s\r\n", key, SIZE, value);
        strcpy(connection->wanted, "STORED\r\n");
    } else {
        size = snprintf(request, sizeof request, "get key%ld\r\n", key);
        snprintf(connection->wanted, ANSWER, "VALUE key%ld 0 %d\r\n%s\r\nEND\r\n", key, SIZE, value);
    }
    if (write(connection->fd, request, size) != size) {
        stop("write");
    }
}

static void open_one(struct connection *connection, int port, int poll) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    int on = 1;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection->fd, (struct sockaddr *)&server, sizeof server) ||
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        epoll_ctl(poll, EPOLL_CTL_ADD, connection->fd, &event)) {
        stop("connect");
    }
}

/* Takes what has come; whether the answer is whole. */
static int take(struct connection *connection) {
    size_t wanted = strlen(connection->wanted);
    ssize_t size = read(connection->fd, connection->got + connection->have, ANSWER - connection->have);
    if (size <= 0) {
        stop("read");
    }
    connection->have += size;
    if (connection->have < wanted) {
        return 0;
    }
    if (connection->have != wanted || memcmp(connection->got, connection->wanted, wanted)) {
        fprintf(stderr, "memcached_load: a wrong answer: %.*s\n", (int)connection->have, connection->got);
        exit(1);
    }
    return 1;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void run(int poll, long requests) {
    struct epoll_event events[MOST];
    long done = 0;
    while (done < requests) {
        int count = epoll_wait(poll, events, MOST, -1);
        for (int at = 0; at < count; at++) {
            struct connection *connection = events[at].data.ptr;
            if (take(connection)) {
                done++;
                if (left-- > 0) {
                    ask(connection);
                }
            }
        }
    }
}

int main(int count, char **words) {
    if (count != 5 || (strcmp(words[2], "set") && strcmp(words[2], "get"))) {
        fprintf(stderr, "usage: memcached_load PORT set|get CONNECTIONS REQUESTS\n");
        return 2;
    }
    int many = atoi(words[3]), poll = epoll_create1(0);
    long requests = atol(words[4]);
    setting = strcmp(words[2], "set") == 0;
    if (many < 1 || many > MOST || requests < many) {
        fprintf(stderr, "memcached_load: 1 to %d connections, and a request for each\n", MOST);
        return 2;
    }
    for (int at = 0; at < many; at++) {
        open_one(&connections[at], atoi(words[1]), poll);
    }
    double start = now();
    left = requests - many;
    for (int at = 0; at < many; at++) {
        ask(&connections[at]);
    }
    run(poll, requests);
    printf("%.1f\n", requests / (now() - start));
    return 0;
}

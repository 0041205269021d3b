/*
 * Streams, datagrams and connections between threads of the program: bytes arrive in order and once,
 * ends are told of, and nothing is left of connections that come and go.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "net.h"
#include "torture.h"

enum { STREAMS = 3 };

/* --- streams of numbers: TCP, a UNIX socket, a pipe --- */

static int out[STREAMS], in[STREAMS];

static void make_streams(void) {
    int pair[2];
    n_pair(pair);
    out[0] = pair[0], in[0] = pair[1];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    out[1] = pair[0], in[1] = pair[1];
    MUST(pipe(pair));
    out[2] = pair[1], in[2] = pair[0];
}

/* A byte of the stream, from its place in it. */
static unsigned char byte_at(uint64_t place) { return (unsigned char)(place * 131 + (place >> 9)); }

static void sender(int self) {
    static uint64_t sent[STREAMS];
    unsigned char bytes[9000];
    size_t size = 1 + chance(sizeof bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = byte_at(sent[self] + i);
    }
    size_t done = 0;
    while (done < size) {
        ssize_t put = write(out[self], bytes + done, size - done);
        if (put <= 0) {
            CHECK(over);
            return;
        }
        done += (size_t)put;
    }
    sent[self] += size;
}

static void receiver(int self) {
    static uint64_t received[STREAMS];
    unsigned char bytes[7000];
    ssize_t got = read(in[self], bytes, 1 + chance(sizeof bytes));
    if (got <= 0) {
        CHECK(over);
        return;
    }
    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] != byte_at(received[self] + (uint64_t)i)) {
            found_wrong(__FILE__, __LINE__, "a stream's byte is the one of its place");
            break;
        }
    }
    received[self] += (uint64_t)got;
}

/* --- connections that come and go --- */

static int listener, listener_port;

static void answerer(int self) {
    (void)self;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        CHECK(over);
        return;
    }
    char bytes[64];
    for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0;) {
        CHECK(write(fd, bytes, (size_t)got) == got || over);
    }
    close(fd);
}

static void caller(int self) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    /* Most leave no port waiting for stray packets: there are not so many. */
    struct linger at_once = {1, 0};
    char question[32], answer[32];
    int size = snprintf(question, sizeof question, "%d asks %u", self, chance(1000000));
    if (n_connect(fd, listener_port) == 0) {
        CHECK(write(fd, question, (size_t)size) == size || over);
        for (int have = 0; have < size;) {
            ssize_t got = read(fd, answer + have, (size_t)(size - have));
            if (got <= 0) {
                CHECK(over);
                close(fd);
                return;
            }
            have += (int)got;
        }
        /* At the end the pipe's numbers may be a socket's already. */
        CHECK(memcmp(question, answer, (size_t)size) == 0 || over);
    } else {
        CHECK(over || errno == EADDRNOTAVAIL);
    }
    if (chance(16)) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close(fd);
}

/* --- datagrams: some may be lost, none may be changed --- */

static int udp_in;

static void udp_sender(int self) {
    static int fds[2];
    unsigned char bytes[2000];
    if (!fds[self]) {
        fds[self] = MUST(socket(AF_INET, SOCK_DGRAM, 0));
        MUST(n_connect(fds[self], n_port(udp_in)));
    }
    size_t size = 2 + chance(sizeof bytes - 2);
    memset(bytes, (int)(size % 251), size);
    bytes[0] = (unsigned char)(size >> 8), bytes[1] = (unsigned char)size;
    CHECK(send(fds[self], bytes, size, 0) == (ssize_t)size || over);
}

static void udp_receiver(int self) {
    unsigned char bytes[3000];
    (void)self;
    if (n_await(udp_in, POLLIN) != POLLIN) {
        return;
    }
    ssize_t got = recv(udp_in, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0) {
        CHECK(errno == EAGAIN || over);
        return;
    }
    CHECK(bytes[0] << 8 == (got & 0xff00) && bytes[1] == (got & 0xff));
    for (ssize_t i = 2; i < got; i++) {
        if (bytes[i] != got % 251) {
            found_wrong(__FILE__, __LINE__, "a datagram arrives as it was sent");
            break;
        }
    }
}

/* --- an epoll with edges, and counters that others raise --- */

static int epoll, events[4];
static atomic_long raised, seen;

static void raiser(int self) {
    uint64_t one = 1 + chance(3);
    CHECK(write(events[chance(COUNT_OF(events))], &one, sizeof one) == sizeof one);
    raised += (long)one;
    /* The counters' reader is to find something and nothing. */
    while (raised - seen > 50 && !over) {
        sched_yield();
    }
    (void)self;
}

static void take_event(int fd) {
    uint64_t value;
    while (read(fd, &value, sizeof value) == sizeof value) {
        seen += (long)value;
    }
    CHECK(errno == EAGAIN);
}

static void watcher(int self) {
    struct epoll_event found[4];
    (void)self;
    int count = epoll_wait(epoll, found, COUNT_OF(found), 100);
    CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        take_event(found[i].data.fd);
    }
}

static void make_events(void) {
    epoll = MUST(epoll_create1(0));
    for (int i = 0; i < COUNT_OF(events); i++) {
        events[i] = MUST(eventfd(0, EFD_NONBLOCK));
        struct epoll_event wanted = {.events = EPOLLIN | EPOLLET, .data.fd = events[i]};
        MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, events[i], &wanted));
    }
}

static void wake_all(void) {
    for (int i = 0; i < 2; i++) {
        shutdown(out[i], SHUT_RDWR);
        shutdown(in[i], SHUT_RDWR);
    }
    close(out[2]);
    close(in[2]);
    shutdown(listener, SHUT_RDWR);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = n_loopback(n_port(udp_in));
    sendto(fd, "\0\2", 2, 0, (struct sockaddr *)&to, sizeof to);
}

int main(int argc, char **argv) {
    static struct crew crews[] = {{"senders", STREAMS, sender, 0}, {"receivers", STREAMS, receiver, 0},
                                  {"answerers", 3, answerer, 0},   {"callers", 3, caller, 0},
                                  {"senders of datagrams", 2, udp_sender, 0},
                                  {"receiver of datagrams", 1, udp_receiver, 0},
                                  {"raisers", 2, raiser, 0},       {"watcher", 1, watcher, 0}};
    int seconds = read_arguments(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    make_streams();
    make_events();
    listener = n_listener();
    listener_port = n_port(listener);
    udp_in = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(n_bind(udp_in, 0));
    run_crews(crews, COUNT_OF(crews), seconds, wake_all);
    for (int i = 0; i < COUNT_OF(events); i++) {
        take_event(events[i]);
    }
    CHECK(raised == seen);
    return conclude(crews, COUNT_OF(crews));
}

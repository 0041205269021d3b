/*
 * MSG_OOB on AF_UNIX streams: each line of the script below is run on a fresh pair of sockets.
 *
 * s sends the text that follows, o sends it with MSG_OOB, r and p read and peek as many bytes as
 * the digits say, u and v take and peek the urgent byte, e says what poll and SIOCATMARK say, b what
 * FIONREAD does (not after an urgent byte was passed over: Linux goes on counting it), i turns
 * SO_OOBINLINE on and n off, w is a read with MSG_WAITALL, c closes the sender's side.
 */
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "t.h"

static const char *const scripts[] = {
    "o! e b v b u b u e b r9 e b",
    "sab o! scd e r9 e r9 e",
    "sab o! scd b u b e r9 b e r9 b e",
    "sab o! scd v p9 e r9 p9 r9 e",
    "sab o! r1 e r9 e r9 u e",
    "sab o! u r1 e r9 e r9 e",
    "oab! e r9 e u e r9 e",
    "o1 o2 e r9 e u e r9",
    "o1 u o2 e r9 e u r9 e",
    "sa o1 sb o2 sc e r9 e r9 e u r9 e",
    "sa o1 u sb o2 u sc r9 e r9 e r9 e",
    "sa o1 u sb o2 sc r9 e r9 e r9 e",
    "o1 u e p9 e sx e p9 r9 e",
    "o1 u o2 u o3 u e sx e r9 e",
    "i o! e u v r9 e",
    "i sab o! scd b e p9 b e r9 b e r9 b e",
    "i sab o! scd r2 e r1 e r9 e",
    "sab o! i e r9 e n r9 e",
    "sab o! scd r2 e i r1 e r9 e",
    "sab o! u scd i r9 e r9 e",
    "sab o! scd w9 e w2 e",
    "o! scd w2 e",
    "o! p9 e r9 e",
    "o! scd p9 e r9 e",
    "sab o! scd c e r9 r9 e u r9 e",
    "o! c e r9 e u r9",
    "o! u c e r9 e",
    "sab o! scd r2 p9 e p1 r1 r9 e",
};

static int a, b;

static void events(void) {
    struct pollfd one = {b, POLLIN | POLLPRI | POLLRDHUP, 0};
    poll(&one, 1, 0);
    int mark = -1;
    ioctl(b, SIOCATMARK, &mark);
    SAY("  events %x, at mark %d", one.revents, mark);
}

static void waiting(void) {
    int bytes = -1;
    ioctl(b, FIONREAD, &bytes);
    SAY("  bytes %d", bytes);
}

static void take(const char *what, int flags, size_t size) {
    char text[64] = "";
    struct iovec one = {text, size};
    struct msghdr header = {.msg_iov = &one, .msg_iovlen = 1};
    ssize_t count = recvmsg(b, &header, flags | MSG_DONTWAIT);
    SAY("  %s = %zd \"%.*s\" flags %x %s", what, count, count > 0 ? (int)count : 0, text,
        header.msg_flags & ~MSG_DONTWAIT, count < 0 ? t_error(errno) : "");
}

static void inlined(int on) { MUST(setsockopt(b, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on)); }

static void run(const char *script) {
    int s[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    a = s[0], b = s[1];
    SAY("%s", script);
    char words[128], *rest = words;
    strcpy(words, script);
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        switch (*word) {
        case 's': MUST(send(a, word + 1, strlen(word + 1), 0)); break;
        case 'o': MUST(send(a, word + 1, strlen(word + 1), MSG_OOB)); break;
        case 'r': take(word, 0, (size_t)atoi(word + 1)); break;
        case 'p': take(word, MSG_PEEK, (size_t)atoi(word + 1)); break;
        case 'w': take(word, MSG_WAITALL, (size_t)atoi(word + 1)); break;
        case 'u': take(word, MSG_OOB, 9); break;
        case 'v': take(word, MSG_OOB | MSG_PEEK, 9); break;
        case 'e': events(); break;
        case 'b': waiting(); break;
        case 'i': inlined(1); break;
        case 'n': inlined(0); break;
        case 'c': close(a); break;
        }
    }
    close(a);
    close(b);
}

/* A sender whose peer goes with nothing unread but an urgent byte that was taken is not reset. */
static void reset(const char *what, bool taken) {
    char byte;
    int s[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    MUST(send(s[0], "!", 1, MSG_OOB));
    if (taken) {
        MUST(recv(s[1], &byte, 1, MSG_OOB));
    }
    close(s[1]);
    SAY("%s", what);
    CALL(recv(s[0], &byte, 1, 0));
    CALL(recv(s[0], &byte, 1, 0));
    close(s[0]);
}

static volatile sig_atomic_t urgent;
static void on_urgent(int number) { urgent += number == SIGURG; }

static void wrong_calls(void) {
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 3; ++i) {
        int s[2], mark = -1;
        char text[4];
        MUST(socketpair(AF_UNIX, types[i], 0, s));
        CALL(recv(s[0], text, 4, MSG_OOB));
        CALL(send(s[0], "x", 0, MSG_OOB));
        CALL(send(s[0], "x", 1, MSG_OOB));
        CALL(recv(s[1], text, 0, MSG_OOB | MSG_DONTWAIT));
        CALL(ioctl(s[1], SIOCATMARK, &mark));
        NUM(mark);
        CALL(ioctl(s[1], SIOCATMARK, BAD_POINTER));
        MUST(shutdown(s[1], SHUT_RD));
        signal(SIGPIPE, SIG_IGN);
        CALL(send(s[0], "x", 1, MSG_OOB));
        close(s[0]);
        close(s[1]);
    }
    int alone = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    CALL(send(alone, "x", 1, MSG_OOB));
    CALL(recv(alone, &alone, 1, MSG_OOB));
}

int main(void) {
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; ++i) {
        run(scripts[i]);
    }
    reset("closed with an urgent byte", false);
    reset("closed after the urgent byte", true);
    t_handle(SIGURG, on_urgent, 0);
    int s[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    MUST(send(s[0], "x", 1, MSG_OOB));
    NUM(urgent);
    MUST(fcntl(s[1], F_SETOWN, getpid()));
    MUST(send(s[0], "abc", 3, MSG_OOB));
    NUM(urgent);
    MUST(send(s[0], "abc", 3, 0));
    NUM(urgent);
    wrong_calls();
    return 0;
}

/* Urgent data: MSG_OOB, SO_OOBINLINE, SIOCATMARK, POLLPRI, and reads that stop at the mark. */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include "t.h"

static int a, b;

static void connect_pair(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    a = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(a, (struct sockaddr *)&address, sizeof address));
    b = MUST(accept(listener, NULL, NULL));
    close(listener);
}

static void events(void) {
    struct pollfd one = {b, POLLIN | POLLPRI, 0};
    poll(&one, 1, 200);
    int mark = -1, bytes = -1;
    ioctl(b, SIOCATMARK, &mark);
    ioctl(b, FIONREAD, &bytes);
    SAY("events %x, at mark %d, bytes %d", one.revents, mark, bytes);
}

static void take(int flags, size_t size) {
    char text[64] = "";
    ssize_t count = recv(b, text, size, flags | MSG_DONTWAIT);
    SAY("recv(%zu, %x) = %zd \"%.*s\" %s", size, flags, count, count > 0 ? (int)count : 0, text,
        count < 0 ? t_error(errno) : "");
}

static void without_inline(void) {
    take(MSG_OOB, 1);
    MUST(send(a, "abcd", 4, 0));
    MUST(send(a, "ef!", 3, MSG_OOB));
    MUST(send(a, "gh", 2, 0));
    t_pause_ms(20);
    events();
    take(MSG_PEEK, 60);
    take(MSG_OOB | MSG_PEEK, 10);
    take(0, 3);
    take(0, 60);
    events();
    take(MSG_OOB, 0);
    take(MSG_OOB, 10);
    take(MSG_OOB, 10);
    events();
    take(MSG_PEEK, 60);
    take(0, 60);
    take(MSG_OOB, 10);
    events();
}

/* A newer urgent byte makes the older one that is at the head of the queue vanish. */
static void two(void) {
    MUST(send(a, "1", 1, MSG_OOB));
    t_pause_ms(10);
    MUST(send(a, "2", 1, MSG_OOB));
    t_pause_ms(10);
    events();
    take(MSG_OOB, 1);
    take(0, 60);
    MUST(send(a, "x", 1, 0));
    MUST(send(a, "3", 1, MSG_OOB));
    MUST(send(a, "y", 1, 0));
    MUST(send(a, "4", 1, MSG_OOB));
    t_pause_ms(10);
    take(0, 60);
    take(MSG_OOB, 1);
    take(0, 60);
    events();
}

static void in_line(void) {
    int on = 1;
    MUST(setsockopt(b, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
    MUST(send(a, "left", 4, 0));
    MUST(send(a, "!", 1, MSG_OOB));
    MUST(send(a, "right", 5, 0));
    t_pause_ms(20);
    events();
    take(MSG_OOB, 1);
    take(MSG_WAITALL, 60);
    events();
    take(0, 60);
    events();
    on = 0;
    MUST(setsockopt(b, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
}

static void exceptional(void) {
    MUST(send(a, "u", 1, MSG_OOB));
    fd_set in, except;
    FD_ZERO(&in);
    FD_ZERO(&except);
    FD_SET(b, &in);
    FD_SET(b, &except);
    struct timeval limit = {1, 0};
    CALL(select(b + 1, &in, NULL, &except, &limit));
    SAY("in %d except %d", FD_ISSET(b, &in) != 0, FD_ISSET(b, &except) != 0);
    MUST(shutdown(a, SHUT_WR));
    t_pause_ms(10);
    take(0, 60);
    take(MSG_OOB, 1);
}

int main(void) {
    int mark;
    connect_pair();
    without_inline();
    two();
    in_line();
    exceptional();
    int udp = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    CALL(ioctl(udp, SIOCATMARK, &mark));
    CALL(ioctl(b, SIOCATMARK, BAD_POINTER));
    CALL(recv(udp, &mark, 1, MSG_OOB | MSG_DONTWAIT));
    return 0;
}

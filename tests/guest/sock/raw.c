/* Raw IPv4 sockets: copies of what arrives, packets of one's own with and without header, ICMP's filter. */
#include <linux/icmp.h>
#include <netinet/ip.h>
#include "net.h"

enum { PRIVATE = 253, OTHER = 254 };

static unsigned short sum_of(const void *bytes, size_t size) {
    const unsigned short *words = bytes;
    unsigned sum = 0;
    for (size_t i = 0; i < size / 2; i++) {
        sum += words[i];
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (unsigned short)~sum;
}

static int open_raw(int protocol) { return (int)MUST(socket(AF_INET, SOCK_RAW, protocol)); }

static void show(const char *what, int fd) {
    unsigned char bytes[2048];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    if (n_await(fd, POLLIN) != POLLIN) {
        SAY("%s: nothing", what);
        return;
    }
    ssize_t size = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length);
    struct iphdr *header = (struct iphdr *)bytes;
    SAY("%s: %zd bytes, protocol %d, total %d, ttl %d, tos %d, from %s port %d, checksum %s", what, size,
        header->protocol, ntohs(header->tot_len), header->ttl, header->tos, inet_ntoa(from.sin_addr),
        ntohs(from.sin_port), sum_of(bytes, header->ihl * 4u) ? "bad" : "good");
    unsigned char *payload = bytes + header->ihl * 4;
    SAY("%s: payload begins with %d %d", what, payload[0], payload[1]);
}

static void show_none(const char *what, int fd) {
    char byte;
    SAY("%s: %s", what, recv(fd, &byte, 1, MSG_DONTWAIT) == -1 ? t_error(errno) : "something");
}

static void making(void) {
    CALL(socket(AF_INET, SOCK_RAW, 0));
    CALL(socket(AF_INET, SOCK_RAW, 300));
    CALL(socket(AF_INET, SOCK_RAW, -1));
    int fd = open_raw(IPPROTO_ICMP), value = 0;
    socklen_t size = sizeof value;
    CALL(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size));
    NUM(value);
    CALL(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &size));
    NUM(value);
    CALL(getsockopt(fd, IPPROTO_IP, IP_HDRINCL, &value, &size));
    NUM(value);
    NUM(n_port(fd));
    struct sockaddr_in address = n_loopback(0);
    socklen_t length = sizeof address;
    CALL(getpeername(fd, (struct sockaddr *)&address, &length));
    CALL(send(fd, "x", 1, 0));
    CALL(listen(fd, 1));
    CALL(accept(fd, NULL, NULL));
    address.sin_addr.s_addr = htonl(0x08080808);
    CALL(bind(fd, (struct sockaddr *)&address, sizeof address));
    CALL(bind(fd, (struct sockaddr *)&address, 4));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CALL(bind(fd, (struct sockaddr *)&address, sizeof address));
    CALL(bind(fd, (struct sockaddr *)&address, sizeof address));
    NUM(n_port(fd));
    IS(poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 0) == 1);
    close(fd);
}

/* Only what belongs to these addresses, since others on the machine may ping, too. */
static void echoing(void) {
    int fd = open_raw(IPPROTO_ICMP);
    struct sockaddr_in at = n_loopback(0);
    at.sin_addr.s_addr = htonl(0x7f030201);
    MUST(bind(fd, (struct sockaddr *)&at, sizeof at));
    struct icmphdr echo;
    memset(&echo, 0, sizeof echo);
    echo.type = ICMP_ECHO;
    echo.un.echo.id = 77;
    echo.checksum = sum_of(&echo, sizeof echo);
    CALL(sendto(fd, &echo, sizeof echo, 0, (struct sockaddr *)&at, sizeof at));
    show("request", fd);
    show("reply", fd);
    struct icmp_filter filter = {1u << ICMP_ECHO}, back = {0};
    socklen_t size = sizeof back;
    CALL(setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof filter));
    CALL(getsockopt(fd, SOL_RAW, ICMP_FILTER, &back, &size));
    NUM(back.data);
    CALL(sendto(fd, &echo, sizeof echo, 0, (struct sockaddr *)&at, sizeof at));
    show("reply alone", fd);
    show_none("after it", fd);
    close(fd);
    fd = open_raw(PRIVATE);
    CALL(setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof filter));
    CALL(setsockopt(fd, SOL_RAW, 99, &filter, sizeof filter));
    close(fd);
}

static void private_protocol(void) {
    int one = open_raw(PRIVATE), two = open_raw(PRIVATE), other = open_raw(OTHER);
    struct sockaddr_in to = n_loopback(0);
    int ttl = 9, tos = 16;
    CALL(setsockopt(one, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl));
    CALL(setsockopt(one, IPPROTO_IP, IP_TOS, &tos, sizeof tos));
    CALL(connect(one, (struct sockaddr *)&to, sizeof to));
    CALL(send(one, "\1\2 words", 8, 0));
    show("sender's own", one);
    show("another's", two);
    show_none("of another protocol", other);
    to.sin_addr.s_addr = htonl(0x7f000009);
    CALL(sendto(two, "\3\4 words", 8, 0, (struct sockaddr *)&to, sizeof to));
    show("unconnected", two);
    show_none("connected elsewhere", one);
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    CALL(getpeername(one, (struct sockaddr *)&peer, &length));
    to.sin_port = htons(7);
    CALL(connect(one, (struct sockaddr *)&to, sizeof to));
    CALL(getpeername(one, (struct sockaddr *)&peer, &length));
    NUM(ntohs(peer.sin_port));
    static char large[70000];
    CALL(sendto(two, large, sizeof large, 0, (struct sockaddr *)&to, sizeof to));
    CALL(sendto(two, "", 0, MSG_OOB, (struct sockaddr *)&to, sizeof to));
    CALL(shutdown(one, SHUT_WR));
    CALL(send(one, "x", 1, MSG_NOSIGNAL));
    close(one), close(two), close(other);
}

static void own_header(void) {
    int in = open_raw(PRIVATE), out = open_raw(IPPROTO_RAW);
    struct sockaddr_in to = n_loopback(0);
    struct {
        struct iphdr header;
        char payload[4];
    } packet = {{.version = 4, .ihl = 5, .ttl = 33, .protocol = PRIVATE, .tot_len = 9}, {5, 6, 7, 8}};
    packet.header.daddr = to.sin_addr.s_addr;
    packet.header.saddr = htonl(0x7f000002);
    CALL(sendto(out, &packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to));
    show("with header", in);
    packet.header.saddr = 0;
    CALL(sendto(out, &packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to));
    show("without source", in);
    CALL(sendto(out, &packet, 10, 0, (struct sockaddr *)&to, sizeof to));
    packet.header.ihl = 9;
    CALL(sendto(out, &packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to));
    show_none("nothing is received by who sends only", out);
    int on = 1;
    CALL(setsockopt(in, IPPROTO_IP, IP_HDRINCL, &on, sizeof on));
    int datagrams = (int)MUST(socket(AF_INET, SOCK_DGRAM, 0));
    CALL(setsockopt(datagrams, IPPROTO_IP, IP_HDRINCL, &on, sizeof on));
    close(in), close(out), close(datagrams);
}

/* What the kernel has a use for itself is shown all the same, and still gets there. */
static void datagrams_too(void) {
    int raw = open_raw(IPPROTO_UDP), in = (int)MUST(socket(AF_INET, SOCK_DGRAM, 0));
    int out = (int)MUST(socket(AF_INET, SOCK_DGRAM, 0));
    struct sockaddr_in at = n_loopback(0);
    socklen_t length = sizeof at;
    at.sin_addr.s_addr = htonl(0x7f030202);
    MUST(bind(raw, (struct sockaddr *)&at, sizeof at));
    MUST(bind(in, (struct sockaddr *)&at, sizeof at));
    MUST(getsockname(in, (struct sockaddr *)&at, &length));
    CALL(sendto(out, "word", 4, 0, (struct sockaddr *)&at, sizeof at));
    unsigned char bytes[100];
    IS(n_await(raw, POLLIN) == POLLIN);
    NUM(recv(raw, bytes, sizeof bytes, 0));
    IS(memcmp(bytes + 22, &at.sin_port, 2) == 0);
    IS(memcmp(bytes + 28, "word", 4) == 0);
    NUM(recv(in, bytes, sizeof bytes, 0));
    close(raw), close(in), close(out);
}

int main(void) {
    making();
    echoing();
    private_protocol();
    own_header();
    datagrams_too();
    return 0;
}

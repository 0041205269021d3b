/* Ancillary data of datagrams, both ways and both families: hop limit, class of service, addresses. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "t.h"

static int from, to;

static void show(void) {
    char text[16], control[256];
    struct iovec data = {text, sizeof text};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t size = recvmsg(to, &message, MSG_DONTWAIT);
    SAY("received %zd flags %x", size, message.msg_flags);
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); size >= 0 && one;
         one = CMSG_NXTHDR(&message, one)) {
        size_t length = one->cmsg_len - CMSG_LEN(0);
        printf("  level %d type %d length %zu", one->cmsg_level, one->cmsg_type, length);
        if (length == sizeof(int)) {
            int value;
            memcpy(&value, CMSG_DATA(one), sizeof value);
            printf(" value %d", value);
        } else if (length == 1) {
            printf(" value %d", *CMSG_DATA(one));
        }
        SAY(" ");
    }
}

static void send_with(int level, int type, const void *value, size_t size) {
    char control[128] = {0};
    struct iovec data = {"hello", 5};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = CMSG_SPACE(size)};
    struct cmsghdr *one = CMSG_FIRSTHDR(&message);
    one->cmsg_level = level;
    one->cmsg_type = type;
    one->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(one), value, size);
    errno = 0;
    ssize_t sent = sendmsg(from, &message, 0);
    SAY("sent with %d/%d: %zd %s", level, type, sent, t_error(errno));
    show();
}

static void set(int fd, int level, int name, int value) {
    if (setsockopt(fd, level, name, &value, sizeof value) != 0) {
        SAY("option %d/%d: %s", level, name, t_error(errno));
    }
}

static void open_pair(int family, const void *address, socklen_t size) {
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    from = MUST(socket(family, SOCK_DGRAM, 0));
    to = MUST(socket(family, SOCK_DGRAM, 0));
    MUST(bind(to, address, size));
    MUST(getsockname(to, (struct sockaddr *)&bound, &length));
    MUST(connect(from, (struct sockaddr *)&bound, length));
}

int main(void) {
    int seven = 7, zero = 0, many = 256, less = -1;
    unsigned char byte = 0x20;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    open_pair(AF_INET, &v4, sizeof v4);
    set(to, IPPROTO_IP, IP_RECVTTL, 1);
    set(to, IPPROTO_IP, IP_RECVTOS, 1);
    set(to, IPPROTO_IP, IP_PKTINFO, 1);
    MUST(send(from, "plain", 5, 0));
    show();
    set(from, IPPROTO_IP, IP_TOS, 0x10);
    send_with(IPPROTO_IP, IP_TTL, &seven, sizeof seven);
    send_with(IPPROTO_IP, IP_TTL, &zero, sizeof zero);
    send_with(IPPROTO_IP, IP_TTL, &many, sizeof many);
    send_with(IPPROTO_IP, IP_TTL, &byte, sizeof byte);
    send_with(IPPROTO_IP, IP_TOS, &byte, sizeof byte);
    send_with(IPPROTO_IP, IP_TOS, &many, sizeof many);
    send_with(IPPROTO_IP, 99, &seven, sizeof seven);
    send_with(IPPROTO_IPV6, IPV6_TCLASS, &seven, sizeof seven);
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK)};
    send_with(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    send_with(IPPROTO_IP, IP_PKTINFO, &info, 8);

    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    open_pair(AF_INET6, &v6, sizeof v6);
    set(to, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    set(to, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    set(to, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    MUST(send(from, "plain", 5, 0));
    show();
    send_with(IPPROTO_IPV6, IPV6_HOPLIMIT, &seven, sizeof seven);
    send_with(IPPROTO_IPV6, IPV6_HOPLIMIT, &less, sizeof less);
    send_with(IPPROTO_IPV6, IPV6_HOPLIMIT, &many, sizeof many);
    send_with(IPPROTO_IPV6, IPV6_HOPLIMIT, &byte, sizeof byte);
    send_with(IPPROTO_IPV6, IPV6_TCLASS, &seven, sizeof seven);
    send_with(IPPROTO_IPV6, IPV6_TCLASS, &many, sizeof many);
    send_with(IPPROTO_IPV6, 99, &seven, sizeof seven);
    send_with(IPPROTO_IP, IP_TTL, &seven, sizeof seven);
    struct in6_pktinfo info6 = {.ipi6_addr = IN6ADDR_LOOPBACK_INIT};
    send_with(IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
    send_with(IPPROTO_IPV6, IPV6_PKTINFO, &info6, 8);
    return 0;
}

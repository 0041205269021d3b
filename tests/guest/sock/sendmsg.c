/* sendmsg and recvmsg over TCP: many parts, bad vectors, flags. */
#include "net.h"

int main(void) {
    int s[2];
    n_pair(s);
    struct iovec out[3] = {{"abc", 3}, {"", 0}, {"defgh", 5}};
    struct msghdr message = {.msg_iov = out, .msg_iovlen = 3};
    CALL(sendmsg(s[0], &message, 0));
    char a[3] = {0}, b[10] = {0};
    struct iovec in[2] = {{a, 2}, {b, 9}};
    struct msghdr got = {.msg_iov = in, .msg_iovlen = 2, .msg_flags = 77};
    IS(n_await(s[1], POLLIN) == POLLIN);
    CALL(recvmsg(s[1], &got, 0));
    SAY("%s %s %d", a, b, got.msg_flags);
    message.msg_iovlen = 1025;
    CALL(sendmsg(s[0], &message, 0));
    message.msg_iovlen = 1;
    message.msg_iov = BAD_POINTER;
    CALL(sendmsg(s[0], &message, 0));
    CALL(sendmsg(s[0], BAD_POINTER, 0));
    CALL(recvmsg(s[0], BAD_POINTER, MSG_DONTWAIT));
    CALL(sendmsg(99, &message, 0));
    struct sockaddr_in elsewhere = n_loopback(1);
    CALL(sendto(s[0], "x", 1, 0, (struct sockaddr *)&elsewhere, sizeof elsewhere));
    CALL(recv(s[1], b, 1, MSG_WAITALL));
    return 0;
}

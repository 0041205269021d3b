/* sendmmsg and recvmmsg move several datagrams a call. */
#include "net.h"

int main(void) {
    int a = MUST(socket(AF_INET, SOCK_DGRAM, 0)), b = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(n_bind(a, 0));
    MUST(n_connect(b, n_port(a)));
    struct iovec out[3] = {{"one", 3}, {"three", 5}, {"sixsix", 6}};
    struct mmsghdr sent[3] = {0}, got[5] = {0};
    char texts[5][8] = {{0}};
    struct iovec in[5];
    for (int i = 0; i < 3; i++) {
        sent[i].msg_hdr.msg_iov = &out[i];
        sent[i].msg_hdr.msg_iovlen = 1;
    }
    for (int i = 0; i < 5; i++) {
        in[i] = (struct iovec){texts[i], 7};
        got[i].msg_hdr.msg_iov = &in[i];
        got[i].msg_hdr.msg_iovlen = 1;
    }
    CALL(sendmmsg(b, sent, 3, 0));
    SAY("%u %u %u", sent[0].msg_len, sent[1].msg_len, sent[2].msg_len);
    IS(n_await(a, POLLIN) == POLLIN);
    t_pause_ms(20);
    CALL(recvmmsg(a, got, 5, MSG_DONTWAIT, NULL));
    SAY("%s %s %s", texts[0], texts[1], texts[2]);
    CALL(recvmmsg(a, got, 5, MSG_DONTWAIT, NULL));
    CALL(sendmmsg(99, sent, 1, 0));
    return 0;
}

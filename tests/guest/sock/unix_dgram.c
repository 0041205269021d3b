/* AF_UNIX datagrams and sequenced packets: borders, order, who sent. */
#include "net.h"

int main(void) {
    int s[2];
    char text[32] = {0};
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
    CALL(send(s[0], "one", 3, 0));
    CALL(send(s[0], "second", 6, 0));
    CALL(recv(s[1], text, 32, 0));
    CALL(recv(s[1], text, 3, MSG_TRUNC));
    CALL(recv(s[1], text, 3, MSG_DONTWAIT));
    CALL(send(s[0], "", 0, 0));
    CALL(recv(s[1], text, 3, 0));
    CALL(close(s[1]));
    CALL(send(s[0], "x", 1, MSG_NOSIGNAL));
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
    CALL(send(s[0], "packet", 6, 0));
    CALL(send(s[0], "next", 4, 0));
    CALL(recv(s[1], text, 2, 0));
    memset(text, 0, 32);
    CALL(recv(s[1], text, 32, 0));
    SAY("%s", text);
    CALL(close(s[0]));
    CALL(recv(s[1], text, 32, 0));
    struct sockaddr_un a = {AF_UNIX, "sock-a"}, b = {AF_UNIX, "sock-b"}, from;
    socklen_t size = sizeof from;
    int x = MUST(socket(AF_UNIX, SOCK_DGRAM, 0)), y = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    CALL(bind(x, (struct sockaddr *)&a, sizeof a));
    CALL(bind(y, (struct sockaddr *)&b, sizeof b));
    CALL(sendto(x, "letter", 6, 0, (struct sockaddr *)&b, sizeof b));
    memset(text, 0, 32);
    CALL(recvfrom(y, text, 32, 0, (struct sockaddr *)&from, &size));
    SAY("%s from %s", text, from.sun_path);
    struct sockaddr_un c = {AF_UNIX, "sock-c"};
    CALL(sendto(x, "x", 1, 0, (struct sockaddr *)&c, sizeof c));
    CALL(socketpair(AF_INET, SOCK_STREAM, 0, s));
    CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD_POINTER));
    return 0;
}

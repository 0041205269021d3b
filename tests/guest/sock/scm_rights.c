/* Descriptors and credentials passed over AF_UNIX. */
#include "net.h"

int main(void) {
    int s[2], p[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    MUST(pipe(p));
    char byte = 'b', space[CMSG_SPACE(sizeof(int) * 2)] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space,
                             .msg_controllen = sizeof space};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * 2);
    memcpy(CMSG_DATA(head), p, sizeof p);
    CALL(sendmsg(s[0], &message, 0));
    close(p[0]);
    close(p[1]);
    memset(space, 0, sizeof space);
    message.msg_controllen = sizeof space;
    CALL(recvmsg(s[1], &message, MSG_CMSG_CLOEXEC));
    IS(message.msg_flags == MSG_CMSG_CLOEXEC);
    head = CMSG_FIRSTHDR(&message);
    IS(head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(8));
    int got[2];
    memcpy(got, CMSG_DATA(head), sizeof got);
    CALL(write(got[1], "passed", 6));
    char text[8] = {0};
    CALL(read(got[0], text, 8));
    SAY("%s", text);
    CALL(fcntl(got[0], F_GETFD));
    NUM(message.msg_flags & MSG_CTRUNC);
    memcpy(CMSG_DATA(head), (int[]){got[0], 99}, 8);
    message.msg_controllen = sizeof space;
    CALL(sendmsg(s[0], &message, 0));
    memcpy(CMSG_DATA(head), (int[]){got[0], got[1]}, 8);
    CALL(sendmsg(s[0], &message, 0));
    message.msg_controllen = 0;
    CALL(recvmsg(s[1], &message, 0));
    NUM(message.msg_flags & MSG_CTRUNC);
    int on = 1;
    CALL(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    CALL(send(s[0], "c", 1, 0));
    char room[256];
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    CALL(recvmsg(s[1], &message, 0));
    head = CMSG_FIRSTHDR(&message);
    IS(head && head->cmsg_type == SCM_CREDENTIALS);
    struct ucred who;
    memcpy(&who, CMSG_DATA(head), sizeof who);
    IS(who.pid == getpid());
    return 0;
}

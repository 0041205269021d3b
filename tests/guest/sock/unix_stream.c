/* AF_UNIX streams: path and abstract names, peers, credentials, errors. */
#include "net.h"

static socklen_t name_of(struct sockaddr_un *address, const char *name, int abstract) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path + abstract, name);
    return offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name) + !abstract;
}

static void talk(int abstract) {
    struct sockaddr_un address, peer;
    socklen_t size = name_of(&address, "kiln-sock", abstract), got = sizeof peer;
    int listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    int client = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    CALL(connect(client, (struct sockaddr *)&address, size));
    CALL(bind(listener, (struct sockaddr *)&address, size));
    CALL(connect(client, (struct sockaddr *)&address, size));
    CALL(listen(listener, 2));
    CALL(connect(client, (struct sockaddr *)&address, size));
    int server = MUST(accept(listener, (struct sockaddr *)&peer, &got));
    NUM(got);
    got = sizeof peer;
    CALL(getpeername(client, (struct sockaddr *)&peer, &got));
    IS(got == size && memcmp(&peer, &address, size) == 0);
    char text[16] = {0};
    CALL(write(client, "hello", 5));
    CALL(read(server, text, 16));
    SAY("%s", text);
    struct ucred who = {0};
    CALL(getsockopt(server, SOL_SOCKET, SO_PEERCRED, &who, &(socklen_t){sizeof who}));
    IS(who.pid == getpid() && who.uid == 0);
    int second = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    CALL(bind(second, (struct sockaddr *)&address, size));
    CALL(close(client));
    CALL(read(server, text, 16));
    CALL(send(server, "x", 1, MSG_NOSIGNAL));
    CALL(close(listener));
    CALL(connect(second, (struct sockaddr *)&address, size));
}

int main(void) {
    talk(0);
    struct stat st;
    CALL(stat("kiln-sock", &st));
    SAY("%o", st.st_mode & S_IFMT);
    CALL(open("kiln-sock", O_RDONLY));
    CALL(unlink("kiln-sock"));
    talk(1);
    return 0;
}

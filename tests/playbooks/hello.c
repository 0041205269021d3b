/* Answers each request with its own first words: hello PORT */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void answer(int client)
{
    char request[4096], method[16], path[1024], reply[2048];
    ssize_t size = read(client, request, sizeof request - 1);
    if (size <= 0) {
        return;
    }
    request[size] = 0;
    if (sscanf(request, "%15s %1023s", method, path) != 2) {
        return;
    }
    const char *status = strstr(path, "no/such") ? "404 Not Found" : "200 OK";
    size_t length = strlen(method) + strlen(path) + 2;
    int head = snprintf(reply, sizeof reply,
                        "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                        "Connection: close\r\n\r\n",
                        status, length);
    if (strcmp(method, "HEAD") != 0) {
        head += snprintf(reply + head, sizeof reply - head, "%s %s\n", method, path);
    }
    if (write(client, reply, head) != head) {
        perror("write");
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = INADDR_ANY};
    where.sin_port = htons(argc > 1 ? atoi(argv[1]) : 8080);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&where, sizeof where) != 0 || listen(listener, 100) != 0) {
        perror("hello");
        return 1;
    }
    for (;;) {
        int client = accept(listener, 0, 0);
        if (client >= 0) {
            answer(client);
            close(client);
        }
    }
}

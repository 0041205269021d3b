/* Named pipes: opening waits for the other side, non-blocking opens do not. */
#include <pthread.h>
#include "t.h"

static void *opener(void *unused) {
    int fd = open("p", O_WRONLY);
    write(fd, "through", 7);
    close(fd);
    return unused;
}

int main(void) {
    CALL(mkfifo("p", 0644));
    CALL(mkfifo("p", 0644));
    CALL(open("p", O_WRONLY | O_NONBLOCK));
    OK(open("p", O_RDONLY | O_NONBLOCK));
    OK(open("p", O_WRONLY | O_NONBLOCK));
    close(3);
    close(4);
    pthread_t thread;
    pthread_create(&thread, NULL, opener, NULL);
    int fd = MUST(open("p", O_RDONLY));
    char text[16] = {0};
    CALL(read(fd, text, 16));
    SAY("%s", text);
    CALL(read(fd, text, 16));
    pthread_join(thread, NULL);
    CALL(mknod("n", S_IFREG | 0600, 0));
    CALL(access("n", R_OK));
    CALL(mknod("d", S_IFDIR | 0600, 0));
    return 0;
}

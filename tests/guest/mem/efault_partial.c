/* A buffer whose second page is missing: short counts where bytes moved, EFAULT where none. */
#include <sys/socket.h>
#include "t.h"

int main(void) {
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map + 4096, 4096);
    char *edge = map + 4096 - 10;
    memset(edge, 'e', 10);
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    CALL(write(fd, edge, 20));
    CALL(lseek(fd, 0, SEEK_END));
    MUST(ftruncate(fd, 100));
    CALL(pread(fd, edge, 20, 0));
    CALL(read(fd, map + 4096, 1));
    t_put("g", "0123456789");
    strcpy(edge, "g");
    CALL(access(edge, F_OK));
    memset(edge, 'x', 10);
    CALL(access(edge, F_OK));
    strcpy(edge + 8, "g");
    CALL(access(edge + 8, F_OK));
    return 0;
}

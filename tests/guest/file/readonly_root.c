/* The program's own file cannot be written while it runs, and reads the same twice. */
#include "t.h"

int main(void) {
    int fd = MUST(open("/proc/self/exe", O_RDONLY));
    unsigned char magic[4];
    CALL(read(fd, magic, 4));
    IS(memcmp(magic, "\177ELF", 4) == 0);
    struct stat st;
    CALL(fstat(fd, &st));
    IS(S_ISREG(st.st_mode) && (st.st_mode & 0111));
    long sums[2] = {0, 0};
    for (int round = 0; round < 2; round++) {
        unsigned char block[1000];
        ssize_t got;
        lseek(fd, 0, SEEK_SET);
        while ((got = read(fd, block, sizeof block)) > 0) {
            for (ssize_t i = 0; i < got; i++) {
                sums[round] += block[i];
            }
        }
    }
    IS(sums[0] == sums[1] && sums[0] > 0);
    CALL(lseek(fd, 0, SEEK_END) == st.st_size);
    IS(open("/proc/self/exe", O_WRONLY) == -1);
    return 0;
}

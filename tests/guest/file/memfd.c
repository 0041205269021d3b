/* memfd_create: a file without a name, seals that hold. */
#include "t.h"

int main(void) {
    int fd = CALL(memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    CALL(write(fd, "hello", 5));
    CALL(ftruncate(fd, 8192));
    struct stat st;
    CALL(fstat(fd, &st));
    SAY("mode %o links %d", st.st_mode, (int)st.st_nlink);
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SAY("%.5s", map);
    map[5000] = 'z';
    char c;
    CALL(pread(fd, &c, 1, 5000));
    SAY("%c", c);
    CALL(fcntl(fd, F_GET_SEALS));
    CALL(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    CALL(ftruncate(fd, 4096));
    CALL(ftruncate(fd, 16384));
    CALL(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(map, 8192);
    CALL(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
    CALL(write(fd, "x", 1));
    CALL(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    CALL(memfd_create("name", 0x8000));
    int plain = MUST(memfd_create("", 0));
    CALL(fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
    return 0;
}

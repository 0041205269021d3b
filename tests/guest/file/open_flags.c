/* open: creation, exclusiveness, truncation, directories and the errors they give. */
#include "t.h"

int main(void) {
    CALL(open("missing", O_RDONLY));
    CALL(open("", O_RDONLY));
    CALL(open("f", O_CREAT | O_EXCL | O_RDWR, 0644));
    CALL(open("f", O_CREAT | O_EXCL | O_RDWR, 0644));
    CALL(write(3, "12345678", 8));
    CALL(open("f", O_RDONLY));
    CALL(write(4, "x", 1));
    CALL(open("f", O_WRONLY | O_TRUNC));
    char c;
    CALL(read(5, &c, 1));
    CALL(lseek(4, 0, SEEK_END));
    CALL(mkdir("d", 0755));
    CALL(open("d", O_RDWR));
    CALL(open("d", O_WRONLY));
    CALL(open("d", O_RDONLY | O_DIRECTORY));
    CALL(open("f", O_RDONLY | O_DIRECTORY));
    CALL(open("f/x", O_RDONLY));
    CALL(open("f/", O_RDONLY));
    CALL(open("new/", O_CREAT | O_RDWR, 0644));
    CALL(open("missing/x", O_CREAT | O_RDWR, 0644));
    CALL(open("d", O_CREAT | O_RDONLY, 0644));
    CALL(openat(6, "inner", O_CREAT | O_RDWR, 0600));
    CALL(openat(3, "inner", O_RDONLY));
    CALL(openat(77, "inner", O_RDONLY));
    CALL(openat(AT_FDCWD, "d/inner", O_RDONLY));
    CALL(openat(-1, "d/inner", O_RDONLY));
    NUM(fcntl(3, F_GETFL) & O_ACCMODE);
    NUM(fcntl(4, F_GETFL) & O_ACCMODE);
    NUM(fcntl(5, F_GETFL) & (O_TRUNC | O_CREAT | O_EXCL));
    return 0;
}

/* O_APPEND writes at the end wherever the offset is, also after another descriptor grew it. */
#include "t.h"

int main(void) {
    int a = MUST(open("f", O_CREAT | O_RDWR | O_APPEND, 0644));
    int b = MUST(open("f", O_RDWR));
    CALL(write(a, "aaa", 3));
    CALL(write(b, "BBBBB", 5));
    CALL(write(a, "cc", 2));
    CALL(lseek(a, 0, SEEK_CUR));
    CALL(lseek(a, 0, SEEK_SET));
    CALL(write(a, "d", 1));
    CALL(pwrite(a, "e", 1, 0));
    t_show("f");
    CALL(fcntl(a, F_SETFL, 0));
    CALL(lseek(a, 1, SEEK_SET));
    CALL(write(a, "z", 1));
    t_show("f");
    CALL(fcntl(b, F_SETFL, O_APPEND));
    CALL(write(b, "end", 3));
    t_show("f");
    return 0;
}

/* Requests for a terminal on things that are none. */
#include <sys/ioctl.h>
#include <termios.h>
#include "t.h"

int main(void) {
    int file = MUST(open("f", O_CREAT | O_RDWR, 0644)), ends[2], waiting = 9;
    MUST(pipe(ends));
    struct termios settings;
    struct winsize size;
    CALL(ioctl(file, TCGETS, &settings));
    CALL(ioctl(ends[0], TIOCGWINSZ, &size));
    MUST(write(ends[1], "12345", 5));
    CALL(ioctl(ends[0], FIONREAD, &waiting));
    NUM(waiting);
    MUST(write(file, "123", 3));
    MUST(lseek(file, 1, SEEK_SET));
    CALL(ioctl(file, FIONREAD, &waiting));
    NUM(waiting);
    int on = 1;
    CALL(ioctl(ends[0], FIONBIO, &on));
    CALL(fcntl(ends[0], F_GETFL));
    CALL(ioctl(file, FIOCLEX));
    CALL(fcntl(file, F_GETFD));
    CALL(ioctl(file, FIONCLEX));
    CALL(fcntl(file, F_GETFD));
    CALL(ioctl(file, 0xdeadbeef, &on));
    CALL(ioctl(ends[0], FIONREAD, BAD_POINTER));
    return 0;
}

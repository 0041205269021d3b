/* Standard streams that are pipes are no terminals; /dev/tty without a terminal is ENXIO. */
#include <sys/ioctl.h>
#include <termios.h>
#include "t.h"

int main(void) {
    CALL(isatty(0));
    CALL(isatty(1));
    struct winsize size;
    CALL(ioctl(1, TIOCGWINSZ, &size));
    struct termios settings;
    CALL(tcgetattr(0, &settings));
    struct stat st;
    CALL(fstat(0, &st));
    IS(S_ISFIFO(st.st_mode));
    CALL(fstat(1, &st));
    IS(S_ISFIFO(st.st_mode));
    CALL(lseek(0, 0, SEEK_CUR));
    IS(access("/dev/tty", F_OK) == 0);
    /* Whoever started this on Linux may have one. */
    setsid();
    CALL(open("/dev/tty", O_RDWR));
    return 0;
}

/* Every byte value and long runs pass through standard output unchanged. */
#include "t.h"

int main(void) {
    unsigned char all[256];
    for (int i = 0; i < 256; i++) {
        all[i] = i;
    }
    write(1, all, 256);
    static char run[200000];
    for (unsigned i = 0; i < sizeof run; i++) {
        run[i] = i % 61 ? 'a' + i % 26 : '\n';
    }
    size_t done = 0;
    while (done < sizeof run) {
        ssize_t got = write(1, run + done, sizeof run - done);
        if (got < 0) {
            return 1;
        }
        done += got;
    }
    return 0;
}

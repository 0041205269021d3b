/* /dev/random, /dev/urandom and getrandom give different bytes each time. */
#include <sys/random.h>
#include "t.h"

int main(void) {
    unsigned char a[64] = {0}, b[64] = {0}, c[64] = {0};
    CALL(getrandom(a, 64, 0));
    CALL(getrandom(b, 64, GRND_NONBLOCK));
    IS(memcmp(a, b, 64) != 0);
    CALL(read(MUST(open("/dev/urandom", O_RDONLY)), c, 64));
    IS(memcmp(a, c, 64) != 0);
    CALL(read(MUST(open("/dev/random", O_RDONLY)), b, 64));
    IS(memcmp(b, c, 64) != 0);
    CALL(getrandom(a, 64, 0x1000));
    CALL(getrandom(a, 64, GRND_RANDOM | GRND_INSECURE));
    CALL(getrandom(BAD_POINTER, 64, 0));
    CALL(getrandom(a, 0, 0));
    int ones = 0;
    static unsigned char many[100000];
    CALL(getrandom(many, sizeof many, 0));
    for (unsigned i = 0; i < sizeof many; i++) {
        ones += __builtin_popcount(many[i]);
    }
    IS(ones > 395000 && ones < 405000);
    return 0;
}

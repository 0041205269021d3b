/* Standard input arrives byte for byte, binary too, and then ends.
 * @stdin line one\nbinary \x00\x01\xff\nlast
 */
#include <poll.h>
#include "t.h"

int main(void) {
    unsigned char text[256];
    size_t size = 0;
    ssize_t got;
    while ((got = read(0, text + size, sizeof text - size)) > 0) {
        size += got;
    }
    NUM(size);
    NUM(got);
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum = sum * 31 + text[i];
    }
    NUM(sum);
    CALL(read(0, text, 1));
    struct pollfd p = {0, POLLIN, 0};
    CALL(poll(&p, 1, 0));
    IS(p.revents & POLLHUP);
    return 0;
}

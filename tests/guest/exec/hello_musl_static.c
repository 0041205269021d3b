/* The smallest program, linked musl-static.
 * @build musl-static
 */
#include "t.h"

int main(void) {
    SAY("hello from a guest or a host");
    return 7;
}

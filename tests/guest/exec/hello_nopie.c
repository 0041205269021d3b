/* The smallest program, linked nopie.
 * @build nopie
 */
#include "t.h"

int main(void) {
    SAY("hello from a guest or a host");
    return 7;
}

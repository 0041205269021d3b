/* The smallest program, linked static-pie.
 * @build static-pie
 */
#include "t.h"

int main(void) {
    SAY("hello from a guest or a host");
    return 7;
}

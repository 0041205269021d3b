/* The smallest program, linked static.
 * @build static
 */
#include "t.h"

int main(void) {
    SAY("hello from a guest or a host");
    return 7;
}

/* musl's abort ends the program by SIGABRT.
 * @build musl-static
 */
#include "t.h"

int main(void) {
    SAY("before");
    abort();
}

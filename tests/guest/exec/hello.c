/* The smallest dynamically linked program. */
#include "t.h"

int main(void) {
    SAY("hello from a guest or a host");
    return 7;
}

/* musl ends a program whose heap is damaged with hlt: SIGSEGV.
 * @build musl-static
 */
#include "t.h"

int main(void) {
    char *volatile twice = malloc(100);
    SAY("freed once");
    free(twice);
    free(twice);
    SAY("freed twice");
    return 0;
}

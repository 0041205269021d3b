/* Division by zero ends the program by SIGFPE. */
#include "t.h"

int main(int argc, char **argv) {
    (void)argv;
    SAY("before");
    volatile int zero = argc - 1;
    printf("%d\n", 7 / zero);
    return 0;
}

/* The library that exec/dlopen opens. */
#include <stdio.h>

static __thread int count;

__attribute__((constructor)) static void enter(void) {
    puts("plugin enters");
}

__attribute__((destructor)) static void leave(void) {
    puts("plugin leaves");
}

int plugin_add(int a, int b) {
    return a + b;
}

int plugin_bump(void) {
    return ++count;
}

/* A library that is not there is an error of dlopen with a sentence. */
#include <dlfcn.h>
#include "t.h"

int main(void) {
    void *library = dlopen("libdoes-not-exist.so.9", RTLD_NOW);
    IS(library == NULL);
    SAY("%s", dlerror());
    return 0;
}

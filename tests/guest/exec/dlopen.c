/* dlopen of a library of one's own and of libm: symbols, constructors, thread-local data, closing.
 * @with plugin.c
 */
#include <dlfcn.h>
#include <pthread.h>
#include "t.h"

static int (*bump)(void);

static void *work(void *unused) {
    bump();
    SAY("other thread %d", bump());
    return unused;
}

int main(void) {
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 32);
    path[size] = 0;
    strcpy(strrchr(path, '/'), "/../libplugin.so");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        SAY("%s", dlerror());
        return 1;
    }
    int (*add)(int, int) = (int (*)(int, int))dlsym(library, "plugin_add");
    bump = (int (*)(void))dlsym(library, "plugin_bump");
    NUM(add(40, 2));
    bump();
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
    SAY("main thread %d", bump());
    IS(dlsym(library, "absent") == NULL);
    CALL(dlclose(library));
    void *math = dlopen("libm.so.6", RTLD_LAZY);
    double (*root)(double) = (double (*)(double))dlsym(math, "sqrt");
    SAY("%.6f", root(2));
    Dl_info info;
    IS(dladdr((void *)main, &info) != 0);
    return 0;
}

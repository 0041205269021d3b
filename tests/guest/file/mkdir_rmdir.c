/* Directories: making, removing, link counts, names that are too long or odd. */
#include "t.h"

static int links(const char *path) {
    struct stat st;
    return stat(path, &st) ? -1 : (int)st.st_nlink;
}

int main(void) {
    CALL(mkdir("d", 0755));
    NUM(links("d"));
    CALL(mkdir("d/a", 0755));
    CALL(mkdir("d/b", 0755));
    NUM(links("d"));
    CALL(mkdir("d", 0755));
    CALL(mkdir("", 0755));
    CALL(mkdir("x/y", 0755));
    CALL(mkdir("d/c/", 0755));
    CALL(rmdir("d"));
    CALL(rmdir("d/c"));
    CALL(rmdir("d/a/."));
    CALL(rmdir("d/a/.."));
    CALL(rmdir("."));
    CALL(rmdir("/"));
    CALL(mkdir("/", 0755));
    CALL(mkdir(".", 0755));
    char name[300];
    memset(name, 'n', 256);
    name[256] = 0;
    CALL(mkdir(name, 0755) == 0);
    name[255] = 0;
    OK(mkdir(name, 0755));
    char *path = malloc(5000);
    memset(path, 'p', 5000);
    path[4999] = 0;
    CALL(mkdir(path, 0755));
    CALL(mkdir("d//e", 0755));
    CALL(mkdir("d/./f", 0755));
    CALL(mkdir("d/../g", 0755));
    CALL(access("g", F_OK));
    CALL(rmdir("d/b"));
    NUM(links("d"));
    return 0;
}

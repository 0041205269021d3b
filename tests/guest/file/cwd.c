/* getcwd, chdir, fchdir, and a working directory that has been removed. */
#include "t.h"

int main(void) {
    char start[PATH_MAX], path[PATH_MAX];
    MUST(getcwd(start, sizeof start) ? 0 : -1);
    CALL(mkdir("d", 0755));
    CALL(mkdir("d/e", 0755));
    CALL(chdir("d/e"));
    IS(getcwd(path, sizeof path) != NULL);
    SAY("below start: %s", path + strlen(start));
    CALL(chdir(".."));
    getcwd(path, sizeof path);
    SAY("below start: %s", path + strlen(start));
    int dir = MUST(open("e", O_RDONLY | O_DIRECTORY));
    CALL(fchdir(dir));
    getcwd(path, sizeof path);
    SAY("below start: %s", path + strlen(start));
    CALL(chdir("missing"));
    t_put("f", "x");
    CALL(chdir("f"));
    CALL(fchdir(99));
    CALL(unlink("f"));
    CALL(rmdir("../e"));
    CALL(syscall(SYS_getcwd, path, sizeof path));
    CALL(open("new", O_CREAT | O_RDWR, 0644));
    CALL(chdir(start));
    CALL(syscall(SYS_getcwd, path, 2));
    CALL(syscall(SYS_getcwd, BAD_POINTER, 4096));
    CALL(chdir(BAD_POINTER));
    CALL(chdir("/"));
    CALL(syscall(SYS_getcwd, path, sizeof path));
    SAY("%s", path);
    CALL(chdir("/.."));
    getcwd(path, sizeof path);
    SAY("%s", path);
    return 0;
}

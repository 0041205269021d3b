/* /proc/self/exe and /proc/self/fd name what they stand for. */
#include <dirent.h>
#include "t.h"

/* A link's permission bits say how its file was opened. */
static void link_of(int flags) {
    char name[64];
    struct stat of;
    int fd = MUST(open("f", flags));
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    MUST(lstat(name, &of));
    SAY("opened with %o: mode %o size %d", flags, of.st_mode, (int)of.st_size);
    close(fd);
}

int main(void) {
    char path[PATH_MAX] = {0};
    IS(readlink("/proc/self/exe", path, sizeof path) > 0);
    SAY("ends in %s", strrchr(path, '/'));
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
    write(fd, "through proc", 12);
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    memset(path, 0, sizeof path);
    IS(readlink(name, path, sizeof path) > 0);
    SAY("ends in %s", strrchr(path, '/'));
    t_show(name);
    link_of(O_RDONLY);
    link_of(O_WRONLY);
    link_of(O_RDWR);
    link_of(O_PATH);
    int p[2];
    MUST(pipe(p));
    snprintf(name, sizeof name, "/proc/self/fd/%d", p[0]);
    memset(path, 0, sizeof path);
    readlink(name, path, sizeof path);
    SAY("%.6s", path);
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        count += entry->d_name[0] != '.';
    }
    NUM(count);
    CALL(open("/proc/self/fd/99", O_RDONLY));
    CALL(readlink("/proc/self/fd/99", path, 10));
    CALL(unlink("/proc/self/exe"));
    CALL(access("/proc/self", F_OK));
    unlink("f");
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    memset(path, 0, sizeof path);
    readlink(name, path, sizeof path);
    SAY("ends in %s", strrchr(path, '/'));
    return 0;
}

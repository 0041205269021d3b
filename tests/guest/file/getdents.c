/* Reading directories: all names once, types, rewinding, names made and gone meanwhile. */
#include <dirent.h>
#include "t.h"

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *path) {
    struct dirent **names;
    int count = scandir(path, &names, NULL, by_name);
    for (int i = 0; i < count; i++) {
        SAY("%s type %d", names[i]->d_name, names[i]->d_type);
    }
}

int main(void) {
    CALL(mkdir("d", 0755));
    CALL(mkdir("d/sub", 0755));
    t_put("d/file", "x");
    CALL(symlink("file", "d/link"));
    CALL(mkfifo("d/fifo", 0644));
    list("d");
    char name[32];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "d/number-%03d", i);
        close(MUST(open(name, O_CREAT | O_WRONLY, 0644)));
    }
    DIR *dir = opendir("d");
    int count = 0;
    while (readdir(dir)) {
        count++;
    }
    NUM(count);
    rewinddir(dir);
    count = 0;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (strncmp(entry->d_name, "number-", 7) == 0) {
            snprintf(name, sizeof name, "d/%.20s", entry->d_name);
            MUST(unlink(name));
            count++;
        }
    }
    NUM(count);
    closedir(dir);
    list("d");
    char small[8];
    int fd = MUST(open("d", O_RDONLY));
    CALL(syscall(SYS_getdents64, fd, small, sizeof small));
    CALL(syscall(SYS_getdents64, 99, small, sizeof small));
    int file = MUST(open("d/file", O_RDONLY));
    CALL(syscall(SYS_getdents64, file, small, sizeof small));
    CALL(read(fd, small, sizeof small));
    return 0;
}

/*
 * Preloaded into a program whose lasting effect is on files: when the program ends, it lists what
 * the folder in $OBSERVE has come to, on the standard output that the program began with.  There is
 * no second program in a guest that could look afterwards.
 *
 * One line an entry, by name: kind, mode, owners, links, size, time of change where the fixtures set
 * it ("now" for any later one), a link's target or a hash of the content.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXED_TIME_ENDS 1700000000

static int out = -1;

__attribute__((constructor)) static void begin(void) {
    if (getenv("OBSERVE")) {
        out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 200);
    }
}

static unsigned long long hash_of(const char* path) {
    unsigned long long hash = 14695981039346656037ULL;
    unsigned char buffer[4096];
    int file = open(path, O_RDONLY);
    ssize_t count;
    while (file >= 0 && (count = read(file, buffer, sizeof buffer)) > 0) {
        for (ssize_t at = 0; at < count; at++) {
            hash = (hash ^ buffer[at]) * 1099511628211ULL;
        }
    }
    if (file >= 0) {
        close(file);
    }
    return hash;
}

static void describe(const char* path, const struct stat* of) {
    dprintf(out, "# %s: %o %u:%u links %lu", path, of->st_mode, of->st_uid, of->st_gid,
            (unsigned long)of->st_nlink);
    if (of->st_mtim.tv_sec < FIXED_TIME_ENDS) {
        dprintf(out, " time %ld.%09ld", (long)of->st_mtim.tv_sec, of->st_mtim.tv_nsec);
    } else {
        dprintf(out, " time now");
    }
    if (S_ISLNK(of->st_mode)) {
        char target[PATH_MAX] = "";
        ssize_t length = readlink(path, target, sizeof target - 1);
        dprintf(out, " -> %.*s", (int)length, target);
    } else if (S_ISREG(of->st_mode)) {
        dprintf(out, " size %lld hash %016llx", (long long)of->st_size, hash_of(path));
    } else if (S_ISCHR(of->st_mode) || S_ISBLK(of->st_mode)) {
        dprintf(out, " device %lx", (unsigned long)of->st_rdev);
    }
    dprintf(out, "\n");
}

static int by_name(const struct dirent** left, const struct dirent** right) {
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void walk(const char* folder) {
    struct dirent** entries = NULL;
    int count = scandir(folder, &entries, NULL, by_name);
    for (int at = 0; at < count; at++) {
        const char* name = entries[at]->d_name;
        char path[PATH_MAX];
        struct stat of;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (lstat(path, &of) != 0) {
            dprintf(out, "# %s: cannot be looked at\n", path);
            continue;
        }
        describe(path, &of);
        if (S_ISDIR(of.st_mode)) {
            walk(path);
        }
    }
}

__attribute__((destructor)) static void end(void) {
    if (out >= 0) {
        walk(getenv("OBSERVE"));
    }
}

/* Settings under /proc/sys and /sys that redis, Go, Python and the JVM ask for. */
#include "t.h"

static void number(const char *path, long least) {
    FILE *file = fopen(path, "r");
    long value = -99;
    if (!file || fscanf(file, "%ld", &value) != 1) {
        SAY("%s cannot be read", path);
        return;
    }
    SAY("%s is at least %ld: %s", path, least, value >= least ? "yes" : "no");
    fclose(file);
}

int main(void) {
    number("/proc/sys/vm/overcommit_memory", 0);
    number("/proc/sys/net/core/somaxconn", 128);
    number("/proc/sys/kernel/pid_max", 1000);
    number("/proc/sys/kernel/threads-max", 100);
    number("/proc/sys/vm/max_map_count", 1000);
    number("/proc/sys/fs/file-max", 1000);
    IS(access("/proc/sys/kernel/osrelease", R_OK) == 0);
    IS(access("/sys/devices/system/cpu/online", R_OK) == 0);
    IS(access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0 || errno == ENOENT);
    number("/sys/devices/system/cpu/online", 0);
    IS(access("/proc/self/mountinfo", R_OK) == 0);
    IS(access("/proc/mounts", R_OK) == 0);
    IS(access("/proc/filesystems", R_OK) == 0);
    CALL(access("/proc/no-such-thing", F_OK));
    CALL(open("/proc/new", O_CREAT | O_RDWR, 0644) == -1);
    CALL(mkdir("/proc/new", 0755) == -1);
    return 0;
}

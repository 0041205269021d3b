/* The fields of /proc/meminfo, cpuinfo, stat, uptime and loadavg that runtimes parse. */
#include "t.h"

static long number_of(const char *path, const char *key) {
    FILE *file = fopen(path, "r");
    char line[8192];
    long value = -1;
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            char *digits = line + strcspn(line, "0123456789");
            value = atol(digits);
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    return value;
}

int main(void) {
    long total = number_of("/proc/meminfo", "MemTotal:");
    long free_memory = number_of("/proc/meminfo", "MemFree:");
    long available = number_of("/proc/meminfo", "MemAvailable:");
    IS(total > 10000);
    IS(free_memory > 0 && free_memory <= total);
    IS(available > 0 && available <= total);
    IS(number_of("/proc/meminfo", "SwapTotal:") >= 0);
    IS(number_of("/proc/meminfo", "Cached:") >= 0);
    IS(number_of("/proc/meminfo", "SReclaimable:") >= 0);
    IS(number_of("/proc/meminfo", "Slab:") > 0);
    IS(number_of("/proc/meminfo", "HugePages_Total:") >= 0);
    IS(number_of("/proc/cpuinfo", "processor") == 0);
    IS(number_of("/proc/cpuinfo", "flags") >= 0);
    IS(number_of("/proc/stat", "btime") > 1000000000);
    IS(number_of("/proc/stat", "cpu") >= 0);
    double up, idle;
    FILE *uptime = fopen("/proc/uptime", "r");
    IS(fscanf(uptime, "%lf %lf", &up, &idle) == 2 && up > 0);
    double one, five, fifteen;
    FILE *load = fopen("/proc/loadavg", "r");
    IS(fscanf(load, "%lf %lf %lf", &one, &five, &fifteen) == 3);
    FILE *version = fopen("/proc/version", "r");
    char word[64];
    IS(fscanf(version, "%63s", word) == 1);
    return 0;
}

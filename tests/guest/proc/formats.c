/*
 * The lines of files in /proc that libraries and runtimes parse, with every number as N: what is there,
 * in which order and in which columns.
 */
#include <ctype.h>
#include <sys/sendfile.h>
#include "t.h"

/* The line with its numbers as N, a sign and all; where columns count, with what stood before it. */
static void shape(const char *line, char *to, bool columns) {
    for (const char *at = line; *at != 0 && *at != '\n';) {
        if (isdigit(*at)) {
            while (isdigit(*at)) {
                ++at;
            }
            while (!columns && to[-1] == ' ' && to[-2] == ' ') {
                --to;
            }
            *to++ = 'N';
        } else {
            *to++ = *at++;
        }
    }
    *to = 0;
}

static bool wanted(const char *line, const char *const *keys) {
    for (; keys != NULL && *keys != NULL; ++keys) {
        size_t length = strlen(*keys);
        if (strncmp(line, *keys, length) == 0 && strchr(": \t", line[length]) != NULL) {
            return true;
        }
    }
    return keys == NULL;
}

/* The lines with these keys, all without; `most` of them; the width of each where it is fixed. */
static void show(const char *path, const char *const *keys, int most, bool widths) {
    static char line[1 << 16], text[1 << 16];
    FILE *file = fopen(path, "r");
    SAY("--- %s%s", path, file == NULL ? " is not there" : "");
    while (file != NULL && most > 0 && fgets(line, sizeof line, file) != NULL) {
        if (wanted(line, keys)) {
            shape(line, text, false);
            if (widths) {
                SAY("%s (%zu)", text, strlen(line));
            } else {
                SAY("%s", text);
            }
            --most;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static const char *const memory_keys[] = {
    "MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapCached", "Active", "Inactive",
    "Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable", "Mlocked",
    "SwapTotal", "SwapFree", "Dirty", "Writeback", "AnonPages", "Mapped", "Shmem", "KReclaimable",
    "Slab", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables", "NFS_Unstable", "Bounce",
    "WritebackTmp", "CommitLimit", "Committed_AS", "VmallocUsed", "VmallocChunk", "Percpu",
    "AnonHugePages", "ShmemHugePages", "ShmemPmdMapped", "HugePages_Total", "HugePages_Free",
    "HugePages_Rsvd", "HugePages_Surp", "Hugepagesize", "Hugetlb", NULL};

static const char *const status_keys[] = {
    "Name", "Umask", "State", "Tgid", "Ngid", "Pid", "PPid", "TracerPid", "FDSize", "VmPeak",
    "VmSize", "VmLck", "VmPin", "VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem", "VmData", "VmStk",
    "VmExe", "VmLib", "VmPTE", "VmSwap", "HugetlbPages", "CoreDumping", "THP_enabled", "Threads",
    "SigQ", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Mems_allowed_list",
    "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches", NULL};

static const char *const stat_keys[] = {"cpu", "cpu0", "ctxt", "btime", "processes", "procs_running",
                                        "procs_blocked", "softirq", NULL};

static const char *const event_keys[] = {
    "nr_free_pages", "nr_anon_pages", "nr_mapped", "nr_file_pages", "nr_dirty", "nr_writeback",
    "nr_shmem", "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "oom_kill", NULL};

static const char *const area_keys[] = {
    "Size", "KernelPageSize", "MMUPageSize", "Rss", "Pss", "Pss_Dirty", "Pss_Anon", "Pss_File",
    "Pss_Shmem", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Referenced",
    "Anonymous", "LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb",
    "Private_Hugetlb", "Swap", "SwapPss", "Locked", "THPeligible", NULL};

/* Two values in columns of their own, which may be numbers or not. */
static void limits(void) {
    char line[256];
    FILE *file = fopen("/proc/self/limits", "r");
    SAY("--- limits");
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        bool columns = line[25] == ' ' && line[26] != ' ' && line[46] == ' ' && line[47] != ' ';
        SAY("%.26s|%s|%s", line, columns ? "" : "odd", line + 68);
    }
    fclose(file);
}

/* The seven fields of a line before its optional ones, and three after the hyphen. */
static void mounts(void) {
    char line[1024];
    int good = 0, all = 0;
    FILE *file = fopen("/proc/self/mountinfo", "r");
    while (fgets(line, sizeof line, file) != NULL) {
        int id, parent, major, minor;
        char root[256], point[256], options[256], type[64], source[256], super[512];
        char *rest = strstr(line, " - ");
        good += rest != NULL &&
                sscanf(line, "%d %d %d:%d %255s %255s %255s", &id, &parent, &major, &minor, root, point,
                       options) == 7 &&
                sscanf(rest, " - %63s %255s %511s", type, source, super) == 3;
        ++all;
    }
    fclose(file);
    SAY("--- mountinfo: %s", all > 0 && good == all ? "good" : "odd");
}

/* What went through read and write since is counted. */
static unsigned long counted(const char *key) {
    char line[256];
    unsigned long value = 0;
    FILE *file = fopen("/proc/self/io", "r");
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            value = strtoul(line + strlen(key) + 1, NULL, 10);
        }
    }
    fclose(file);
    return value;
}

static void transfers(void) {
    static char block[10000];
    int zero = MUST(open("/dev/zero", O_RDWR)), file = MUST(open("io", O_CREAT | O_RDWR, 0600));
    unsigned long read_before = counted("rchar"), written_before = counted("wchar");
    unsigned long reads_before = counted("syscr"), writes_before = counted("syscw");
    for (int i = 0; i < 10; ++i) {
        MUST(read(zero, block, sizeof block));
        MUST(pwrite(file, block, sizeof block, 0));
        MUST(pread(file, block, sizeof block, 0));
        MUST(write(file, block, 100));
    }
    MUST(sendfile(file, zero, &(off_t){0}, 1000));
    unsigned long bytes_read = counted("rchar") - read_before;
    unsigned long reads = counted("syscr") - reads_before;
    unsigned long written = counted("wchar") - written_before;
    unsigned long writes = counted("syscw") - writes_before;
    SAY("--- transfers");
    IS(bytes_read >= 201000 && bytes_read < 211000);
    IS(reads >= 21 && reads < 41);
    NUM(written);
    NUM(writes);
}

int main(void) {
    show("/proc/meminfo", memory_keys, 1000, true);
    show("/proc/self/status", status_keys, 1000, false);
    show("/proc/stat", stat_keys, 1000, false);
    show("/proc/loadavg", NULL, 1, false);
    show("/proc/uptime", NULL, 1, false);
    show("/proc/vmstat", event_keys, 1000, false);
    show("/proc/self/smaps", area_keys, 22, true);
    show("/proc/self/smaps_rollup", area_keys, 1000, true);
    show("/proc/self/io", NULL, 1, false);
    show("/proc/self/schedstat", NULL, 1, false);
    show("/proc/self/task/self/schedstat", NULL, 1, false);
    show("/proc/thread-self/schedstat", NULL, 1, false);
    show("/proc/thread-self/io", NULL, 7, false);
    limits();
    show("/proc/thread-self/limits", NULL, 1, false);
    show("/proc/thread-self/smaps", area_keys, 1, false);
    show("/proc/thread-self/environ", NULL, 0, false);
    show("/proc/thread-self/oom_score_adj", NULL, 1, false);
    show("/proc/self/statm", NULL, 1, false);
    show("/proc/self/wchan", NULL, 0, false);
    show("/proc/self/personality", NULL, 1, false);
    show("/proc/self/sessionid", NULL, 0, false);
    show("/proc/self/loginuid", NULL, 0, false);
    show("/proc/self/coredump_filter", NULL, 1, false);
    mounts();
    transfers();
    return 0;
}

/* Fields of /proc/self/stat, statm and status that programs read. */
#include "t.h"

static void field(const char *wanted) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[512];
    int found = 0;
    while (fgets(line, sizeof line, status)) {
        found += strncmp(line, wanted, strlen(wanted)) == 0;
    }
    fclose(status);
    SAY("%s %d", wanted, found);
}

int main(void) {
    static const char *names[] = {"Name:", "State:", "Pid:", "PPid:", "Uid:", "Gid:", "VmSize:",
                                  "VmRSS:", "Threads:", "SigBlk:", "Cpus_allowed:"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        field(names[i]);
    }
    FILE *stat = fopen("/proc/self/stat", "r");
    char line[2048] = {0};
    fgets(line, sizeof line, stat);
    int pid, spaces = 0;
    char name[64], state;
    sscanf(line, "%d (%63[^)]) %c", &pid, name, &state);
    IS(pid == getpid());
    SAY("%s %c", name, state);
    for (char *c = strrchr(line, ')'); *c; c++) {
        spaces += *c == ' ';
    }
    NUM(spaces);
    long size = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    NUM(fscanf(statm, "%ld %ld", &size, &resident));
    IS(size >= resident && resident > 0);
    return 0;
}

/* /proc/self/maps shows the mappings the program makes, with their rights. */
#include "t.h"

static void find(void *address) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], rights[8];
    unsigned long from, to;
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && (unsigned long)address >= from &&
            (unsigned long)address < to) {
            SAY("rights %s", rights);
            fclose(maps);
            return;
        }
    }
    SAY("not mapped");
    fclose(maps);
}

int main(void) {
    char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    find(map);
    mprotect(map + 4096, 4096, PROT_READ);
    find(map);
    find(map + 4096);
    find(map + 8192);
    munmap(map + 4096, 4096);
    find(map + 4096);
    find((void *)main);
    find(&map);
    char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    find(shared);
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long from, to, last = 0;
    int unordered = 0, stack = 0, heap = 0, own = 0, vdso = 0;
    malloc(1);
    while (fgets(line, sizeof line, maps)) {
        sscanf(line, "%lx-%lx", &from, &to);
        unordered += from < last || to <= from;
        last = to;
        stack += strstr(line, "[stack]") != NULL;
        heap += strstr(line, "[heap]") != NULL;
        vdso += strstr(line, "[vdso]") != NULL;
        own += strstr(line, "proc/self_maps") != NULL;
    }
    NUM(unordered);
    NUM(stack);
    NUM(heap > 0);
    NUM(vdso);
    NUM(own > 1);
    return 0;
}

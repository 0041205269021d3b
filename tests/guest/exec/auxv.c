/* The auxiliary vector: what libc and runtimes rely on. */
#include <elf.h>
#include <sys/auxv.h>
#include "t.h"

extern char **environ;
extern char __ehdr_start[];

int main(void) {
    NUM(getauxval(AT_PAGESZ));
    NUM(getauxval(AT_CLKTCK));
    NUM(getauxval(AT_UID));
    NUM(getauxval(AT_EUID));
    NUM(getauxval(AT_SECURE));
    NUM(getauxval(AT_PHENT));
    IS(getauxval(AT_PHDR) == (unsigned long)__ehdr_start + 64);
    IS(getauxval(AT_PHNUM) == ((Elf64_Ehdr *)__ehdr_start)->e_phnum);
    IS(getauxval(AT_ENTRY) == (unsigned long)__ehdr_start + ((Elf64_Ehdr *)__ehdr_start)->e_entry);
    IS(getauxval(AT_BASE) != 0);
    IS(getauxval(AT_HWCAP) != 0);
    SAY("%s", (char *)getauxval(AT_PLATFORM));
    const char *program = (char *)getauxval(AT_EXECFN);
    SAY("%s", program ? strrchr(program, '/') : "none");
    unsigned char *bytes = (void *)getauxval(AT_RANDOM);
    int set = 0;
    for (int i = 0; i < 16; i++) {
        set |= bytes[i];
    }
    IS(set != 0);
    IS(getauxval(AT_SYSINFO_EHDR) != 0);
    IS(getauxval(AT_MINSIGSTKSZ) >= 1000);
    char **end = environ;
    while (*end) {
        end++;
    }
    IS(((uintptr_t)(end + 1) & 7) == 0);
    return 0;
}

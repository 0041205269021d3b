/* The vDSO is mapped, named in the auxiliary vector, and its clock agrees with the system call. */
#include <elf.h>
#include <sched.h>
#include <sys/auxv.h>
#include "t.h"

int main(void) {
    unsigned char *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    IS(vdso != NULL);
    IS(memcmp(vdso, "\177ELF\2\1", 6) == 0);
    Elf64_Ehdr *header = (void *)vdso;
    NUM(header->e_type);
    NUM(header->e_machine);
    int wrong = 0;
    for (int i = 0; i < 1000; i++) {
        struct timespec a, b, c;
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &a);
        clock_gettime(CLOCK_MONOTONIC, &b);
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &c);
        int64_t x = a.tv_sec * 1000000000ll + a.tv_nsec, y = b.tv_sec * 1000000000ll + b.tv_nsec,
                z = c.tv_sec * 1000000000ll + c.tv_nsec;
        wrong += x > y || y > z;
    }
    NUM(wrong);
    unsigned cpu = 99, node = 99;
    CALL(getcpu(&cpu, &node));
    IS(cpu < 64 && node < 8);
    IS(sched_getcpu() >= 0);
    CALL(syscall(SYS_getcpu, BAD_POINTER, NULL, NULL));
    return 0;
}

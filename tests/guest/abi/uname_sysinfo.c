/* uname, sysinfo and sysconf tell a Linux system on x86-64. */
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include "t.h"

int main(void) {
    struct utsname name;
    CALL(uname(&name));
    SAY("%s %s", name.sysname, name.machine);
    IS(atoi(name.release) >= 4);
    IS(name.nodename[0] != 0);
    struct sysinfo info;
    CALL(sysinfo(&info));
    IS(info.uptime >= 0);
    IS(info.totalram * info.mem_unit > 30 << 20);
    IS(info.freeram <= info.totalram);
    IS(info.procs >= 1);
    NUM(sysconf(_SC_PAGESIZE));
    IS(sysconf(_SC_PHYS_PAGES) > 5000);
    IS(sysconf(_SC_AVPHYS_PAGES) > 0);
    IS(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    IS(sysconf(_SC_OPEN_MAX) >= 1024);
    IS(get_nprocs() >= 1);
    CALL(sethostname("kiln-test", 9) == 0 || errno == EPERM);
    return 0;
}

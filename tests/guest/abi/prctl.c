/* prctl and arch_prctl: names, dumpable, parent-death signal, segment bases.
 * @differs "setting gs: ok" => "setting gs: EPERM"
 */
#include <asm/prctl.h>
#include <sys/prctl.h>
#include "t.h"

int main(void) {
    char name[17] = {0};
    CALL(prctl(PR_SET_NAME, "renamed"));
    CALL(prctl(PR_GET_NAME, name));
    SAY("%s", name);
    CALL(prctl(PR_GET_DUMPABLE));
    CALL(prctl(PR_SET_DUMPABLE, 0));
    CALL(prctl(PR_GET_DUMPABLE));
    CALL(prctl(PR_SET_DUMPABLE, 9));
    CALL(prctl(PR_SET_PDEATHSIG, SIGTERM));
    CALL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CALL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    CALL(prctl(99999));
    CALL(prctl(PR_GET_NAME, BAD_POINTER));
    unsigned long base = 0;
    CALL(syscall(SYS_arch_prctl, ARCH_GET_FS, &base));
    IS(base == (unsigned long)__builtin_thread_pointer());
    CALL(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    NUM(base);
    long result = syscall(SYS_arch_prctl, ARCH_SET_GS, &base);
    SAY("setting gs: %s", result ? t_error(errno) : "ok");
    CALL(syscall(SYS_arch_prctl, 0x9999, &base));
    CALL(syscall(SYS_arch_prctl, ARCH_SET_FS, KERNEL_POINTER));
    return 0;
}

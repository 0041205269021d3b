/* clone by hand: a thread with its tid written and cleared; flags that need each other. */
#include <linux/futex.h>
#include <sched.h>
#include "t.h"

static char stack[65536] __attribute__((aligned(16)));
static int parent_tid, child_tid = -1, ran, tid_matched, tid_is_own;

static int body(void *argument) {
    ran = *(int *)argument;
    /* The thread shares its libc state with the main thread: no printing here. */
    tid_matched = child_tid == syscall(SYS_gettid);
    tid_is_own = syscall(SYS_getpid) != syscall(SYS_gettid);
    return 0;
}

int main(void) {
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    int value = 31;
    int tid = clone(body, stack + sizeof stack,
                    flags | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, &value,
                    &parent_tid, NULL, &child_tid);
    IS(tid > 0);
    for (int seen; (seen = __atomic_load_n(&child_tid, __ATOMIC_SEQ_CST)) != 0;) {
        syscall(SYS_futex, &child_tid, FUTEX_WAIT, seen, NULL, NULL, 0);
    }
    IS(parent_tid == tid);
    IS(tid_matched);
    IS(tid_is_own);
    NUM(ran);
    CALL(syscall(SYS_clone, CLONE_THREAD | CLONE_VM, stack + sizeof stack, NULL, NULL, 0));
    CALL(syscall(SYS_clone, CLONE_SIGHAND, stack + sizeof stack, NULL, NULL, 0));
    CALL(syscall(SYS_set_tid_address, &child_tid) == gettid());
    return 0;
}

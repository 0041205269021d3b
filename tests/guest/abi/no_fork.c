/* One process only: fork, vfork and execve are refused and nothing else changes.
 * @differs "fork: made a child" => "fork: ENOSYS"
 * @differs "vfork: made a child" => "vfork: ENOSYS"
 * @differs "clone without a thread: made a child" => "clone without a thread: ENOSYS"
 * @differs "execve of nothing: ENOENT" => "execve of nothing: ENOSYS"
 */
#include <sched.h>
#include <sys/wait.h>
#include "t.h"

static void told(const char *what, pid_t child) {
    if (child == 0) {
        _exit(0);
    }
    SAY("%s: %s", what, child > 0 ? "made a child" : t_error(errno));
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
}

int main(void) {
    told("fork", syscall(SYS_fork));
    told("vfork", fork() > 0 ? (wait(NULL), 1) : (errno == ENOSYS ? -1 : 0));
    told("clone without a thread", syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
    char *const none[] = {NULL};
    syscall(SYS_execve, "missing", none, none);
    SAY("execve of nothing: %s", t_error(errno));
    int status;
    CALL(waitpid(-1, &status, WNOHANG));
    CALL(wait4(-1, &status, 0, NULL));
    return 0;
}

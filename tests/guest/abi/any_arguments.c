/* No system call and no argument brings the kernel down: every call, with arguments that are null, wild,
 * in the kernel's half, at the end of a page, negative or huge.  The calls are only made on Kiln, where they
 * can hurt nobody.
 * @smp 1 2
 * @timeout 180
 */
#include <pthread.h>
#include <sys/utsname.h>
#include "t.h"

#define HIGHEST 452

static unsigned long arena;
static int out;
static pthread_t maker;
static volatile int done;

static unsigned long state = 88172645463325252ul;

static unsigned long next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Calls that end or suspend the program, take its memory, descriptors or signals away, or make it
 * another: with arguments like these they do what they should. */
static int excluded(long number) {
    static const short calls[] = {
        SYS_exit, SYS_exit_group, SYS_reboot, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_clone, SYS_clone3,
        SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_munmap, SYS_mremap,
        SYS_mprotect, SYS_pkey_mprotect, SYS_brk, SYS_remap_file_pages, SYS_arch_prctl, SYS_close,
        SYS_close_range, SYS_dup2, SYS_dup3, SYS_setrlimit, SYS_prlimit64, SYS_rt_sigaction, SYS_madvise,
        SYS_mlockall, SYS_setresuid, SYS_setuid, SYS_setreuid, SYS_mmap, SYS_fcntl, SYS_timer_create,
        SYS_setitimer, SYS_alarm, SYS_shmat, SYS_process_madvise, SYS_sigaltstack, SYS_set_robust_list,
        SYS_rt_sigsuspend, SYS_ppoll, SYS_pselect6, SYS_epoll_pwait, SYS_epoll_pwait2};
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (calls[i] == number) {
            return 1;
        }
    }
    return 0;
}

static unsigned long argument(void) {
    unsigned long random = next_random();
    switch (random % 16) {
    case 0: return 0;
    case 1: return 1;
    case 2: return random >> 60;
    case 3: return ~0ul;
    case 4: return (unsigned long)BAD_POINTER;
    case 5: return (unsigned long)KERNEL_POINTER;
    case 6: return arena + 4096 - (random >> 59);
    case 7: return arena + 64 + (random >> 58);
    case 8: return 0x7ffffffff000 - (random >> 58);
    case 9: return 1ul << (random >> 58);
    case 10: return -4096ul;
    case 11: return random >> 32;
    case 12: return 3 + (random >> 61);
    case 13: return 0xffff800000000000 + (random >> 40);
    case 14: return 8;
    default: return arena;
    }
}

static void wake(int number) {
    (void)number;
}

/* Waits must end: the maker is interrupted all the time. */
static void *poke(void *unused) {
    while (!done) {
        t_pause_ms(5);
        pthread_kill(maker, SIGUSR1);
    }
    return unused;
}

static void make_calls(int rounds) {
    for (int round = 0; round < rounds; round++) {
        for (long number = 0; number < HIGHEST; number++) {
            if (!excluded(number)) {
                syscall(number, argument(), argument(), argument(), argument(), argument(), argument());
            }
        }
        for (unsigned i = 0; i < 4096 / sizeof(long); i++) {
            ((unsigned long *)arena)[i] = argument();
        }
    }
}

int main(int argc, char **argv) {
    struct utsname name;
    MUST(uname(&name));
    if (strstr(name.release, "kiln")) {
        t_handle(SIGUSR1, wake, 0);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN);
        arena = (unsigned long)mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
        MUST(mprotect((void *)arena, 4096, PROT_READ | PROT_WRITE));
        out = MUST(dup(1));
        maker = pthread_self();
        pthread_t thread;
        pthread_create(&thread, NULL, poke, NULL);
        state += argc > 1 ? atol(argv[1]) : 0;
        make_calls(argc > 2 ? atoi(argv[2]) : 20);
        done = 1;
        pthread_join(thread, NULL);
        dup2(out, 1);
    }
    SAY("still here");
    return 0;
}

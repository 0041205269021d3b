/*
 * What every conformance program says its findings with.
 *
 * Output must be the same on every correct kernel: no pids, addresses, times or host names.
 * CALL prints a call as it is written, its result, and the name of errno on failure.
 */
#ifndef KILN_TEST_T_H
#define KILN_TEST_T_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Unknown to the compiler, which would warn. */
__attribute__((unused)) static void *volatile t_bad = (void *)0x10;
#define BAD_POINTER ((void *)t_bad)
#define KERNEL_POINTER ((void *)0xffff800000001000ul)

static inline const char *t_error(int number) {
    switch (number) {
#define NAME(x) case x: return #x;
        NAME(EPERM) NAME(ENOENT) NAME(ESRCH) NAME(EINTR) NAME(EIO) NAME(ENXIO) NAME(E2BIG)
        NAME(ENOEXEC) NAME(EBADF) NAME(ECHILD) NAME(EAGAIN) NAME(ENOMEM) NAME(EACCES)
        NAME(EFAULT) NAME(ENOTBLK) NAME(EBUSY) NAME(EEXIST) NAME(EXDEV) NAME(ENODEV)
        NAME(ENOTDIR) NAME(EISDIR) NAME(EINVAL) NAME(ENFILE) NAME(EMFILE) NAME(ENOTTY)
        NAME(ETXTBSY) NAME(EFBIG) NAME(ENOSPC) NAME(ESPIPE) NAME(EROFS) NAME(EMLINK)
        NAME(EPIPE) NAME(EDOM) NAME(ERANGE) NAME(EDEADLK) NAME(ENAMETOOLONG) NAME(ENOLCK)
        NAME(ENOSYS) NAME(ENOTEMPTY) NAME(ELOOP) NAME(ENODATA) NAME(EOVERFLOW) NAME(EILSEQ)
        NAME(ENOTSOCK) NAME(EDESTADDRREQ) NAME(EMSGSIZE) NAME(EPROTOTYPE) NAME(ENOPROTOOPT)
        NAME(EPROTONOSUPPORT) NAME(ESOCKTNOSUPPORT) NAME(EOPNOTSUPP) NAME(EPFNOSUPPORT)
        NAME(EAFNOSUPPORT) NAME(EADDRINUSE) NAME(EADDRNOTAVAIL) NAME(ENETDOWN)
        NAME(ENETUNREACH) NAME(ECONNABORTED) NAME(ECONNRESET) NAME(ENOBUFS) NAME(EISCONN)
        NAME(ENOTCONN) NAME(ESHUTDOWN) NAME(ETOOMANYREFS) NAME(ETIMEDOUT) NAME(ECONNREFUSED)
        NAME(EHOSTUNREACH) NAME(EALREADY) NAME(EINPROGRESS) NAME(ECANCELED) NAME(EOWNERDEAD)
        NAME(ENOTRECOVERABLE) NAME(EBADFD) NAME(ENOTUNIQ)
#undef NAME
    case 0: return "0";
    default: return "E?";
    }
}

/* Unbuffered, so that nothing is lost or doubled when a thread or a signal ends the program. */
__attribute__((constructor)) static void t_start(void) { setvbuf(stdout, NULL, _IONBF, 0); }

static inline long long t_call(const char *text, long long result, int error) {
    if (result == -1) {
        printf("%s = -1 %s\n", text, t_error(error));
    } else {
        printf("%s = %lld\n", text, result);
    }
    return result;
}

static inline long long t_ok(const char *text, long long result, int error) {
    printf("%s: %s\n", text, result == -1 ? t_error(error) : "ok");
    return result;
}

/* The call with its value; only whether it worked; an error number returned; a condition. */
#define CALL(expr) ({ errno = 0; long long r_ = (long long)(expr); t_call(#expr, r_, errno); })
#define OK(expr) ({ errno = 0; long long r_ = (long long)(expr); t_ok(#expr, r_, errno); })
#define RC(expr) ({ int r_ = (expr); printf("%s: %s\n", #expr, t_error(r_)); r_; })
#define IS(expr) printf("%s: %s\n", #expr, (expr) ? "yes" : "no")
#define NUM(expr) printf("%s = %lld\n", #expr, (long long)(expr))
/* One call, so that a line is written whole. */
#define SAY(format, ...) printf(format "\n", ##__VA_ARGS__)

/* For steps whose failure makes the rest meaningless. */
#define MUST(expr)                                                                          \
    ({                                                                                      \
        errno = 0;                                                                          \
        long long r_ = (long long)(expr);                                                   \
        if (r_ == -1) {                                                                     \
            printf("stop: %s: %s\n", #expr, t_error(errno));                                \
            exit(99);                                                                       \
        }                                                                                   \
        r_;                                                                                 \
    })

static inline int64_t t_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static inline void t_pause_ms(long ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {
    }
}

static inline void t_put(const char *path, const char *text) {
    int fd = MUST(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644));
    MUST(write(fd, text, strlen(text)));
    close(fd);
}

static inline void t_show(const char *path) {
    char text[4096];
    int fd = MUST(open(path, O_RDONLY));
    ssize_t size = MUST(read(fd, text, sizeof text - 1));
    text[size] = 0;
    printf("%s holds \"%s\"\n", path, text);
    close(fd);
}

static inline void t_handle(int number, void (*handler)(int), int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    MUST(sigaction(number, &action, NULL));
}

#endif

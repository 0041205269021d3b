// Signal numbers, sets and siginfo in the Linux x86-64 ABI (include/uapi/asm-generic/siginfo.h,
// arch/x86/include/uapi/asm/signal.h), and nothing else: needed on both sides of the tests.
#pragma once

#include "lib/types.hh"

namespace kiln {

// Bit signo - 1.
using signal_set = u64;

inline constexpr int signal_limit = 64;
constexpr signal_set signal_bit(int signo) { return signal_set{1} << (signo - 1); }
constexpr bool valid_signal(int signo) { return signo >= 1 && signo <= signal_limit; }

namespace signo {
inline constexpr int hup = 1, interrupt = 2, quit = 3, ill = 4, trap = 5, abrt = 6, bus = 7, fpe = 8,
                     kill = 9, usr1 = 10, segv = 11, usr2 = 12, pipe = 13, alrm = 14, term = 15,
                     stkflt = 16, chld = 17, cont = 18, stop = 19, tstp = 20, ttin = 21, ttou = 22,
                     urg = 23, xcpu = 24, xfsz = 25, vtalrm = 26, prof = 27, winch = 28, io = 29,
                     pwr = 30, sys = 31, first_realtime = 32;
}

// si_code.
namespace si_code {
inline constexpr int user = 0, kernel = 0x80, queue = -1, timer = -2, sigio = -5, tkill = -6,
                     segv_maperr = 1, segv_accerr = 2, bus_adraln = 1, bus_adrerr = 2,
                     ill_illopn = 2, ill_prvopc = 5, fpe_intdiv = 1, fpe_intovf = 2, fpe_fltdiv = 3,
                     fpe_fltovf = 4, fpe_fltund = 5, fpe_fltres = 6, fpe_fltinv = 7,
                     trap_brkpt = 1, trap_trace = 2;
}

// The part of siginfo_t that is ever used; programs see 128 bytes, the rest of them zero.
struct signal_info {
    i32 signo = 0;
    i32 error = 0;
    i32 code = 0;
    i32 padding = 0;
    union {
        struct {
            i32 pid;
            u32 uid;
            u64 value;  // union sigval; also si_status for SIGCHLD
        } sender;
        struct {
            i32 id;
            i32 overrun;
            u64 value;
        } timer;
        struct {
            u64 address;
            u64 rest[3];
        } fault;
        struct {
            i64 band;
            i32 fd;
        } poll;
        u64 words[4] = {};
    };
};
static_assert(sizeof(signal_info) == 48);
inline constexpr usize user_siginfo_size = 128;

inline constexpr signal_set unblockable_signals = signal_bit(signo::kill) | signal_bit(signo::stop);
// Raised by the program's own instructions; taken before all others.
inline constexpr signal_set synchronous_signals =
    signal_bit(signo::segv) | signal_bit(signo::bus) | signal_bit(signo::ill) |
    signal_bit(signo::trap) | signal_bit(signo::fpe) | signal_bit(signo::sys);

}  // namespace kiln

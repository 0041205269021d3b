// The registers of interrupted code, as the entry paths store them: the same layout for system
// calls, exceptions and interrupts. Sizes and order are known to entry.S.
#pragma once

#include "lib/types.hh"

namespace kiln {

struct trap_frame {
    u64 r15, r14, r13, r12, rbp, rbx;
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 vector;  // of the exception or interrupt; syscall_vector for system calls
    u64 error;   // the CPU's error code; for system calls the number (Linux's orig_rax)
    u64 rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(trap_frame) == 22 * 8);

inline constexpr u64 syscall_vector = 0x100;

}  // namespace kiln

// The layout of what a signal handler finds on its stack, as Linux x86-64 programs know it
// (arch/x86/include/uapi/asm/{sigcontext,ucontext}.h; the JVM and Go read and change it).
#pragma once

#include "linux/signal_info.hh"
#include "linux/task.hh"

namespace kiln {

struct user_sigcontext {
    u64 r8, r9, r10, r11, r12, r13, r14, r15;
    u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    u16 cs, gs, fs, ss;
    u64 error, trapno, old_mask, cr2;
    u64 fpstate;
    u64 reserved[8];
};
static_assert(sizeof(user_sigcontext) == 256);

struct user_ucontext {
    u64 flags;
    u64 link;
    alternate_stack stack;
    user_sigcontext registers;
    signal_set mask;
};
static_assert(sizeof(user_ucontext) == 304);

namespace uc_flag {
inline constexpr u64 fp_xstate = 1, sigcontext_ss = 2, strict_restore_ss = 4;
}

struct user_rt_sigframe {
    u64 return_address;
    user_ucontext context;
    signal_info info;
    u8 info_rest[user_siginfo_size - sizeof(signal_info)];
};
static_assert(sizeof(user_rt_sigframe) == 440);

// In bytes 464..511 of the FXSAVE area: how much XSAVE state follows it.
struct fp_software_bytes {
    u32 magic1;
    u32 extended_size;  // with the trailing magic2
    u64 features;
    u32 state_size;
    u32 padding[7];
};
static_assert(sizeof(fp_software_bytes) == 48);
inline constexpr usize fp_software_offset = 464;
inline constexpr usize fxsave_size = 512;
inline constexpr u32 fp_magic1 = 0x46505853;
inline constexpr u32 fp_magic2 = 0x46505845;

// What ring 3 code would see: programs print and compare these.
inline constexpr u16 user_code_selector = 0x33;
inline constexpr u16 user_data_selector = 0x2b;

inline constexpr u64 red_zone_size = 128;

// Bytes of vector state in a signal frame, with the trailing magic2.
usize signal_vector_size();

}  // namespace kiln

// The system-call table and what can be asked of it: names, and a hook that sees every call.
#pragma once

#include <atomic>
#include <string_view>

#include "lib/types.hh"

namespace kiln {

inline constexpr u32 syscall_limit = 451;

using syscall_function = i64 (*)(u64, u64, u64, u64, u64, u64);

// Empty for a number that Linux does not use.
std::string_view syscall_name(u64 number);
bool syscall_implemented(u64 number);

// Sees each call after it has run: number, arguments, result. Null costs one predicted branch a call.
using syscall_observer = void (*)(u64 number, const u64 (&arguments)[6], i64 outcome);
extern std::atomic<syscall_observer> the_syscall_observer;

// Ready-made observers: one counts, one writes each call to the kernel log.
void count_syscall(u64 number, const u64 (&arguments)[6], i64 outcome);
void trace_syscall(u64 number, const u64 (&arguments)[6], i64 outcome);
u64 syscall_count(u64 number);

// Says once for each number that the program asked for something that is not there.
void report_missing_syscall(u64 number, const u64 (&arguments)[6]);

}  // namespace kiln

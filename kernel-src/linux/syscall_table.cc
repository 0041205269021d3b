// kernel only: the table refers to the calls of every subsystem.
//
// Maps call numbers to sys_NAME functions. The references are weak: a call exists when some file of
// linux/ defines it by SYSCALL. entry.S calls most of them itself, through syscall_targets. Context:
// application threads on their kernel stacks.
#include "linux/syscall_table.hh"

#include <algorithm>
#include <atomic>
#include <string_view>

#include "arch/x86_64/offsets.h"
#include "core/log.hh"
#include "core/thread.hh"
#include "linux/entry.hh"

#define KILN_SYSCALL(number, name)                                                        \
    extern "C" [[gnu::weak]] ::kiln::i64 sys_##name(::kiln::u64, ::kiln::u64, ::kiln::u64, \
                                                    ::kiln::u64, ::kiln::u64, ::kiln::u64);
#include "linux/syscall_list.hh"
#undef KILN_SYSCALL

extern "C" {
using syscall_function = kiln::i64 (*)(kiln::u64, kiln::u64, kiln::u64, kiln::u64, kiln::u64, kiln::u64);

void syscall_with_frame();

// Where entry.S finds a call, or syscall_with_frame, which has dispatch_syscall run it.
constinit syscall_function syscall_targets[kiln::syscall_limit] = {};
}

namespace kiln {
namespace {

struct table_entry {
    syscall_function call = nullptr;
    const char* name = nullptr;
};

// A struct with a member array, so that entries can be given by index at compile time.
struct syscall_table {
    table_entry entries[syscall_limit];
    constexpr syscall_table() : entries{} {
#define KILN_SYSCALL(number, name) entries[number] = {&sys_##name, #name};
#include "linux/syscall_list.hh"
#undef KILN_SYSCALL
    }
};
constinit const syscall_table table;
static_assert(syscall_limit == SYSCALL_LIMIT);

constinit std::atomic<bool> reported[syscall_limit];
constinit std::atomic<bool> reported_unknown{false};
constinit bool traces = false;

// Calls that read or write more of user_frame() than their arguments.
constexpr std::string_view with_frame[] = {"clone", "clone3", "rt_sigreturn"};

bool needs_frame(const table_entry& entry) {
    return entry.call == nullptr || std::ranges::find(with_frame, std::string_view(entry.name)) != std::end(with_frame);
}

std::string_view name_of(u64 number) {
    if (number >= syscall_limit || table.entries[number].name == nullptr) {
        return {};
    }
    return table.entries[number].name;
}

// Says once for each number that the program asked for something that is not there.
void report_missing(u64 number, const trap_frame& with) {
    std::atomic<bool>& said = number < syscall_limit ? reported[number] : reported_unknown;
    if (said.exchange(true, std::memory_order_relaxed)) {
        return;
    }
    const std::string_view name = name_of(number);
    if (name.empty()) {
        log_warning("missing system call {}({:x}, {:x}, {:x}, {:x}, {:x}, {:x})", number, with.rdi,
                    with.rsi, with.rdx, with.r10, with.r8, with.r9);
        return;
    }
    log_warning("missing system call {}({:x}, {:x}, {:x}, {:x}, {:x}, {:x})", name, with.rdi,
                with.rsi, with.rdx, with.r10, with.r8, with.r9);
}

i64 run_call(u64 number, const trap_frame& with) {
    if (number >= syscall_limit || table.entries[number].call == nullptr) {
        report_missing(number, with);
        return -static_cast<i64>(err::nosys);
    }
    return table.entries[number].call(with.rdi, with.rsi, with.rdx, with.r10, with.r8, with.r9);
}

}  // namespace

void fill_syscall_targets(bool traced) {
    traces = traced;
    for (u32 number = 0; number < syscall_limit; ++number) {
        const table_entry& entry = table.entries[number];
        const bool whole = traced || needs_frame(entry);
        syscall_targets[number] =
            whole ? reinterpret_cast<syscall_function>(&syscall_with_frame) : entry.call;
    }
}

void dispatch_syscall(trap_frame& frame) {
    // Linux looks at eax only.
    const u64 number = static_cast<u32>(frame.error);
    const trap_frame asked = frame;
    const i64 outcome = run_call(number, asked);
    frame.rax = static_cast<u64>(outcome);
    if (traces) {
        log_debug("{}({:x}, {:x}, {:x}, {:x}, {:x}, {:x}) = {}", name_of(number), asked.rdi, asked.rsi,
                  asked.rdx, asked.r10, asked.r8, asked.r9, outcome);
    }
}

i64 failed_syscall(err error) {
    if (error >= err::restart_sys) {
        // Whoever interrupted the call may be gone by now; the way back must still resolve the code.
        request_return_work(current_thread());
    }
    return -static_cast<i64>(error);
}

}  // namespace kiln

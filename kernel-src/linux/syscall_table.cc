// kernel only: the table refers to the calls of every subsystem.
//
// Maps call numbers to sys_NAME functions. The references are weak: a call exists when some file of
// linux/ defines it by SYSCALL. Context: application threads on their kernel stacks.
#include "linux/syscall_table.hh"

#include "core/log.hh"
#include "core/thread.hh"
#include "linux/entry.hh"

#define KILN_SYSCALL(number, name)                                                        \
    extern "C" [[gnu::weak]] ::kiln::i64 sys_##name(::kiln::u64, ::kiln::u64, ::kiln::u64, \
                                                    ::kiln::u64, ::kiln::u64, ::kiln::u64);
#include "linux/syscall_list.hh"
#undef KILN_SYSCALL

namespace kiln {

constinit std::atomic<syscall_observer> the_syscall_observer{nullptr};

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

constinit std::atomic<u64> counts[syscall_limit];
constinit std::atomic<bool> reported[syscall_limit];
constinit std::atomic<bool> reported_unknown{false};

bool is_restart_code(i64 outcome) {
    return outcome <= -512 && outcome >= -516;
}

}  // namespace

std::string_view syscall_name(u64 number) {
    if (number >= syscall_limit || table.entries[number].name == nullptr) {
        return {};
    }
    return table.entries[number].name;
}

bool syscall_implemented(u64 number) {
    return number < syscall_limit && table.entries[number].call != nullptr;
}

void report_missing_syscall(u64 number, const u64 (&arguments)[6]) {
    std::atomic<bool>& said = number < syscall_limit ? reported[number] : reported_unknown;
    if (said.exchange(true, std::memory_order_relaxed)) {
        return;
    }
    const std::string_view name = syscall_name(number);
    if (name.empty()) {
        log_warning("missing system call {}({:x}, {:x}, {:x}, {:x}, {:x}, {:x})", number,
                    arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                    arguments[5]);
        return;
    }
    log_warning("missing system call {}({:x}, {:x}, {:x}, {:x}, {:x}, {:x})", name, arguments[0],
                arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

void count_syscall(u64 number, const u64 (&)[6], i64) {
    if (number < syscall_limit) {
        counts[number].fetch_add(1, std::memory_order_relaxed);
    }
}

u64 syscall_count(u64 number) {
    return number < syscall_limit ? counts[number].load(std::memory_order_relaxed) : 0;
}

void trace_syscall(u64 number, const u64 (&arguments)[6], i64 outcome) {
    log_debug("{}({:x}, {:x}, {:x}, {:x}, {:x}, {:x}) = {}", syscall_name(number), arguments[0],
              arguments[1], arguments[2], arguments[3], arguments[4], arguments[5], outcome);
}

i64 dispatch_syscall(trap_frame& frame) {
    // Linux looks at eax only.
    const u64 number = static_cast<u32>(frame.error);
    i64 outcome = 0;
    if (number < syscall_limit && table.entries[number].call != nullptr) [[likely]] {
        outcome = table.entries[number].call(frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8,
                                             frame.r9);
    } else {
        report_missing_syscall(number,
                               {frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9});
        outcome = -static_cast<i64>(err::nosys);
    }
    if (auto observer = the_syscall_observer.load(std::memory_order_relaxed)) [[unlikely]] {
        observer(number, {frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9}, outcome);
    }
    if (is_restart_code(outcome)) [[unlikely]] {
        // Whoever interrupted the call may be gone by now; the way back must still resolve the code.
        request_return_work(current_thread());
    }
    return outcome;
}

}  // namespace kiln

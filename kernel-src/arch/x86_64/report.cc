// What is printed when the kernel itself fails. Context: any; takes no locks, follows frame pointers
// only within kernel stacks and the image.
#include "arch/x86_64/boot_memory.hh"
#include "arch/x86_64/layout.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/smp.hh"
#include "arch/x86_64/trap.hh"
#include "core/console.hh"
#include "core/log.hh"
#include "core/symbols.hh"
#include "drivers/devices.hh"

extern "C" char image_start[], text_end[];

namespace kiln {
namespace {

constexpr int max_depth = 32;

template <class... Args>
void say(std::string_view pattern, const Args&... args) {
    char line[256];
    const usize size = format_to(line, pattern, args...);
    serial_put({line, size});
}

bool is_kernel_text(u64 address) {
    return address >= reinterpret_cast<u64>(image_start) && address < reinterpret_cast<u64>(text_end);
}

bool is_stack(u64 address) {
    const bool dynamic = address >= layout::dynamic_start && address < layout::dynamic_end;
    return is_aligned(address, 8) && (dynamic || address >= layout::image_base);
}

void say_place(std::string_view what, u64 address) {
    const symbol at = kernel_symbol_at(address);
    if (at.name.empty()) {
        say("kiln: {} {:016x}\n", what, address);
    } else {
        say("kiln: {} {:016x} {}+{:x}\n", what, address, at.name, at.offset);
    }
}

}  // namespace

void print_backtrace(u64 frame_pointer) {
    for (int depth = 0; depth < max_depth && is_stack(frame_pointer); ++depth) {
        const auto* saved = reinterpret_cast<const u64*>(frame_pointer);
        if (!is_kernel_text(saved[1])) {
            return;
        }
        say_place("  called from", saved[1]);
        if (saved[0] <= frame_pointer) {
            return;
        }
        frame_pointer = saved[0];
    }
}

void print_frame(const trap_frame& f) {
    say("kiln: rip {:016x} rsp {:016x} flags {:x} vector {} error {:x}\n", f.rip, f.rsp, f.rflags,
        f.vector, f.error);
    say("kiln: rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}\n", f.rax, f.rbx, f.rcx, f.rdx);
    say("kiln: rsi {:016x} rdi {:016x} rbp {:016x} cr2 {:016x}\n", f.rsi, f.rdi, f.rbp, read_cr2());
    say("kiln: r8  {:016x} r9  {:016x} r10 {:016x} r11 {:016x}\n", f.r8, f.r9, f.r10, f.r11);
    say("kiln: r12 {:016x} r13 {:016x} r14 {:016x} r15 {:016x}\n", f.r12, f.r13, f.r14, f.r15);
    say_place("at", f.rip);
    print_backtrace(f.rbp);
}

void panic_line(std::string_view pattern, std::span<const format_argument> arguments) {
    disable_interrupts();
    stop_other_cpus();
    char line[512];
    buffer_sink sink(line);
    sink.put("kiln: panic: ");
    format_arguments(sink, pattern, arguments);
    sink.put("\n");
    print_backtrace(reinterpret_cast<u64>(__builtin_frame_address(0)));
    serial_put(sink.view());
    crash();
}

void assertion_failed(const char* condition, const char* file, int line) {
    panic("{}:{}: the invariant does not hold: {}", file, line, condition);
}

}  // namespace kiln

// Called by the compiler for a virtual function that is not there.
extern "C" void __cxa_pure_virtual() {
    kiln::panic("a pure virtual function was called");
}

// libstdc++'s range checks (string_view::substr and such) end here.
namespace std {
void __throw_out_of_range_fmt(const char* what, ...) {
    kiln::panic("out of range: {}", what);
}
}  // namespace std

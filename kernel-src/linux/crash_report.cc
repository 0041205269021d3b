// kernel only: the report on a signal that ends the program: registers, where it was, how it got there.
// The stack is read by copies that do not fault, since the program's state may be anything.
//
// The backtrace follows frame pointers as long as they make sense. Distributions build without them, so
// then the stack is searched for words that point behind a call instruction; those are marked "?" since
// some are left-overs. Context: the dying thread, no locks.
#include "arch/x86_64/trap_frame.hh"
#include "core/log.hh"
#include "core/user.hh"
#include "linux/elf_symbols.hh"
#include "linux/signal_state.hh"
#include "mm/address_space.hh"
#include "mm/report.hh"

namespace kiln {
namespace {

const char* signal_name(int signo) {
    switch (signo) {
    case signo::quit: return "SIGQUIT";
    case signo::ill: return "SIGILL";
    case signo::trap: return "SIGTRAP";
    case signo::abrt: return "SIGABRT";
    case signo::bus: return "SIGBUS";
    case signo::fpe: return "SIGFPE";
    case signo::segv: return "SIGSEGV";
    case signo::xcpu: return "SIGXCPU";
    case signo::xfsz: return "SIGXFSZ";
    case signo::sys: return "SIGSYS";
    default: return "signal";
    }
}

void print_registers(const trap_frame& f) {
    log_error("rip {:016x} rsp {:016x} rflags {:08x}", f.rip, f.rsp, f.rflags);
    log_error("rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}", f.rax, f.rbx, f.rcx, f.rdx);
    log_error("rsi {:016x} rdi {:016x} rbp {:016x} r8  {:016x}", f.rsi, f.rdi, f.rbp, f.r8);
    log_error("r9  {:016x} r10 {:016x} r11 {:016x} r12 {:016x}", f.r9, f.r10, f.r11, f.r12);
    log_error("r13 {:016x} r14 {:016x} r15 {:016x}", f.r13, f.r14, f.r15);
}

class file_source final : public elf_source {
public:
    explicit file_source(file& from) : _file(from) {}
    usize read(u64 offset, std::span<std::byte> to) override {
        io_vector where = io_vector::kernel(to.data(), to.size());
        result<usize> done = _file.read(where, offset);
        return done.ok() ? done.value() : 0;
    }

private:
    file& _file;
};

// What is mapped at an address: the file and the place in it.
struct code_place {
    ref<file> backing;
    u64 file_offset = 0;
    bool executable = false;
};

code_place place_of(u64 address) {
    code_place place;
    the_address_space().for_each_area([&](const vma& area) {
        if (address >= area.start && address < area.end) {
            place.backing = area.backing;
            place.file_offset = area.offset + (address - area.start);
            place.executable = (area.protection & prot::exec) != 0;
        }
    });
    return place;
}

// "#3 7f... puts+0x12 (/lib/libc.so.6)"
void print_frame_line(u32 number, u64 address, bool certain) {
    const code_place place = place_of(address);
    const char* mark = certain ? "" : "? ";
    char path[128] = "no mapping";
    elf_symbol symbol;
    bool named = false;
    if (place.backing) {
        const result<usize> length = place.backing->describe(std::span(path).first(sizeof(path) - 1));
        path[length.ok() ? length.value() : 0] = '\0';
        file_source source(*place.backing);
        // A return address belongs to the call before it.
        named = find_elf_symbol(source, place.file_offset - (number == 0 ? 0 : 1), symbol);
    }
    if (named) {
        log_error("#{} {}{:x} {}+{:x} ({})", number, mark, address, symbol.view(),
                  symbol.offset + (number == 0 ? 0 : 1), static_cast<const char*>(path));
    } else {
        log_error("#{} {}{:x} ({} at {:x})", number, mark, address, static_cast<const char*>(path),
                  place.file_offset);
    }
}

bool peek(u64 address, u64& value) {
    return copy_from_user_nofault(&value, address, sizeof(value)) == sizeof(value);
}

bool is_code(u64 address) {
    return address >= min_address && address < user_end && place_of(address).executable;
}

inline constexpr u32 most_frames = 24;
inline constexpr u64 largest_frame = MiB;

// Returns how many frames the chain of frame pointers had.
u32 follow_frame_pointers(const trap_frame& frame) {
    u32 number = 1;
    u64 below = frame.rsp;
    for (u64 rbp = frame.rbp; number < most_frames; ++number) {
        u64 next = 0;
        u64 return_address = 0;
        if (rbp < below || rbp - below > largest_frame || !is_aligned(rbp, 8) || !peek(rbp, next) ||
            !peek(rbp + 8, return_address) || !is_code(return_address)) {
            break;
        }
        print_frame_line(number, return_address, true);
        below = rbp + 16;
        rbp = next;
    }
    return number - 1;
}

// Whether a call could have left this return address: E8 rel32, or FF /2 of two to seven bytes (Intel
// SDM vol. 2, CALL).
bool follows_a_call(u64 address) {
    u8 before[7];
    if (copy_from_user_nofault(before, address - sizeof(before), sizeof(before)) != sizeof(before)) {
        return false;
    }
    if (before[2] == 0xe8) {
        return true;
    }
    for (usize length : {2u, 3u, 4u, 6u, 7u}) {
        const u8* code = before + sizeof(before) - length;
        if (code[0] == 0xff && (code[1] >> 3 & 7) == 2) {
            return true;
        }
    }
    return false;
}

void search_stack(const trap_frame& frame) {
    u32 number = 1;
    for (u64 at = align_up(frame.rsp, 8); at < frame.rsp + 4 * KiB && number < most_frames; at += 8) {
        u64 word = 0;
        if (!peek(at, word)) {
            return;
        }
        if (is_code(word) && follows_a_call(word)) {
            print_frame_line(number++, word, false);
        }
    }
}

void print_area(const char* what, u64 address) {
    char line[192];
    buffer_sink text(line);
    if (describe_area(address, text)) {
        log_error("{}: {}", what, text.view());
    } else {
        log_error("{}: nothing is mapped at {:x}", what, address);
    }
}

}  // namespace

void report_fatal_signal(const trap_frame& frame, const task& self, const signal_info& info) {
    log_error("{} ({}) ends the program: code {}, address {:x}, thread {} ({})",
              signal_name(info.signo), info.signo, info.code,
              (synchronous_signals & signal_bit(info.signo)) != 0 ? info.fault.address : 0, self.tid,
              static_cast<const char*>(self.comm));
    print_registers(frame);
    print_area("code", frame.rip);
    if (info.signo == signo::segv || info.signo == signo::bus) {
        print_area("address", info.fault.address);
    }
    print_frame_line(0, frame.rip, true);
    if (follow_frame_pointers(frame) < 2) {
        search_stack(frame);
    }
}

}  // namespace kiln

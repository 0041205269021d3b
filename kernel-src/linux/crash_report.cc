// kernel only: the report on a signal that ends the program: registers, where it was, how it got there.
// The program's memory may be in any state, so it is read by copies that can fail.
//
// The backtrace unwinds by .eh_frame, which distributions keep; where there is no rule it follows frame
// pointers as long as they make sense. Where that leads nowhere (static programs have no table) the
// stack is searched for words that point behind a call instruction; some are left-overs, so they are
// marked as a guess. Context: the dying thread, no locks.
#include "arch/x86_64/trap_frame.hh"
#include "core/log.hh"
#include "core/user.hh"
#include "lib/elf_image.hh"
#include "lib/unwind.hh"
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

class program_memory final : public memory_view {
public:
    bool read(u64 address, void* to, usize size) const override {
        return copy_from_user(to, address, size).ok();
    }
};

class file_view final : public memory_view {
public:
    explicit file_view(file& from) : _file(from) {}
    bool read(u64 offset, void* to, usize size) const override {
        io_vector where = io_vector::kernel(to, size);
        const result<usize> done = _file.read(where, offset);
        return done.ok() && done.value() == size;
    }

private:
    file& _file;
};

// The code at an address: its file and where in the program's memory that file begins.
struct code_place {
    ref<file> backing;
    u64 base = 0;  // of the mapping of the file's first page, 0 when unknown
    bool executable = false;
};

code_place place_of(u64 address) {
    code_place place;
    file* last_file = nullptr;
    u64 last_base = 0;
    the_address_space().for_each_area([&](const vma& area) {
        if (area.backing && area.offset == 0) {
            last_file = area.backing.get();
            last_base = area.start;
        }
        if (address >= area.start && address < area.end) {
            place.backing = area.backing;
            place.executable = (area.protection & prot::exec) != 0;
            place.base = area.backing ? (area.backing == last_file ? last_base : 0) : area.start;
        }
    });
    return place;
}

// "#3 7f… puts+12 (/lib/libc.so.6)"; `exact`: the instruction itself, not a return address behind a call.
void print_frame_line(u32 number, u64 address, const code_place& place, const elf_image& image,
                      bool exact) {
    char path[128] = "no file";
    char buffer[96];
    elf_symbol_place symbol;
    bool named = false;
    if (place.backing) {
        const result<usize> length = place.backing->describe(std::span(path).first(sizeof(path) - 1));
        path[length.ok() ? length.value() : 0] = '\0';
        const file_view view(*place.backing);
        named = find_elf_symbol(view, address - image.bias - (exact ? 0 : 1), buffer, symbol);
    }
    const auto* file_name = static_cast<const char*>(path);
    if (named) {
        log_error("#{} {:x} {}+{:x} ({})", number, address, symbol.name,
                  symbol.offset + (exact ? 0 : 1), file_name);
    } else {
        log_error("#{} {:x} ({} at {:x})", number, address, file_name, address - image.bias);
    }
}

unwind_registers registers_of(const trap_frame& f) {
    return {{f.rax, f.rdx, f.rcx, f.rbx, f.rsi, f.rdi, f.rbp, f.rsp, f.r8, f.r9, f.r10, f.r11, f.r12,
             f.r13, f.r14, f.r15, f.rip}};
}

// A frame pointer's frame: the caller's rbp, then the return address.
bool step_by_frame_pointer(const memory_view& memory, unwind_registers& registers) {
    u64& rbp = registers.value[unwind_registers::rbp];
    u64& rsp = registers.value[unwind_registers::rsp];
    const u64 largest_frame = MiB;
    u64 saved[2];
    if (rbp < rsp || rbp - rsp > largest_frame || !is_aligned(rbp, 8) || !memory.load(rbp, saved) ||
        !place_of(saved[1]).executable) {
        return false;
    }
    rsp = rbp + sizeof(saved);
    rbp = saved[0];
    registers.value[unwind_registers::pc] = saved[1];
    return true;
}

// A jump to nowhere, usually a call through a bad pointer: the return address is on top of the stack.
bool step_over_bad_call(const memory_view& memory, unwind_registers& registers) {
    u64 return_address = 0;
    if (!memory.load(registers.value[unwind_registers::rsp], return_address) ||
        !place_of(return_address).executable) {
        return false;
    }
    registers.value[unwind_registers::rsp] += sizeof(return_address);
    registers.value[unwind_registers::pc] = return_address;
    return true;
}

// Whether a call could have left this return address: E8 rel32, or FF /2 of two to seven bytes (Intel
// SDM vol. 2, CALL).
bool follows_a_call(const memory_view& memory, u64 address) {
    u8 before[7];
    if (!memory.load(address - sizeof(before), before)) {
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

void search_stack(const memory_view& memory, u64 rsp) {
    const u64 most_words = 512;
    u32 found = 0;
    for (u64 at = align_up(rsp, 8); at < rsp + most_words * 8 && found < 16; at += 8) {
        u64 word = 0;
        if (!memory.load(at, word)) {
            return;
        }
        const code_place place = place_of(word);
        if (place.executable && follows_a_call(memory, word)) {
            elf_image image;
            static_cast<void>(place.base != 0 && find_elf_image(memory, place.base, image));
            if (found++ == 0) {
                log_error("the callers are a guess:");
            }
            print_frame_line(found, word, place, image, false);
        }
    }
}

// Returns how many frames it has printed.
u32 unwind_stack(const memory_view& memory, unwind_registers& registers) {
    const u32 most_frames = 32;
    bool exact = true;
    for (u32 number = 0; number < most_frames; ++number) {
        const u64 pc = registers.value[unwind_registers::pc];
        const code_place place = place_of(pc);
        elf_image image;
        const bool known = place.base != 0 && find_elf_image(memory, place.base, image);
        print_frame_line(number, pc, place, image, exact);
        const unwind_outcome step =
            known ? unwind_step(memory, image, registers, exact) : unwind_outcome::unknown;
        if (step == unwind_outcome::outermost) {
            return number + 1;
        }
        if (step == unwind_outcome::unknown) {
            exact = false;
            if (!(number == 0 && !place.executable ? step_over_bad_call(memory, registers)
                                                   : step_by_frame_pointer(memory, registers))) {
                return number + 1;
            }
        }
    }
    return most_frames;
}

void print_backtrace(const trap_frame& frame) {
    const program_memory memory;
    unwind_registers registers = registers_of(frame);
    if (unwind_stack(memory, registers) <= 2) {
        search_stack(memory, registers.value[unwind_registers::rsp]);
    }
}

void print_area(const char* what, u64 address) {
    char line[192];
    buffer_sink text(line);
    if (describe_area(address, text)) {
        const std::string_view area = text.view();
        log_error("{}: {}", what, area.substr(0, area.find_last_not_of('\n') + 1));
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
    print_backtrace(frame);
}

}  // namespace kiln

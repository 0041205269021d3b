// See privileged.hh.
#include "arch/x86_64/privileged.hh"

#include <algorithm>

#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/trap.hh"
#include "core/log.hh"
#include "core/user.hh"
#include "lib/x86_code.hh"
#include "linux/entry.hh"
#include "linux/signal.hh"
#include "mm/address_space.hh"

namespace kiln {
namespace {

constexpr u64 protection_fault = 13;
constexpr u8 halt_instruction = 0xf4;
constexpr u64 farthest_branch = 2 * MiB;
constexpr u64 function_alignment = 16;
// Kernel code turns interrupts off for microseconds; this many seconds of it is a defect of the
// kernel.
constexpr u32 most_nmis_in_a_row = 10;

void say_interrupts_were_off() {
    static constinit std::atomic<bool> said{false};
    if (!said.exchange(true, std::memory_order_relaxed)) {
        log_warning("the program has turned interrupts off (cli or popf); they are on again");
    }
}

bool follows_halt(u64 address) {
    std::byte code[halt_window];
    const usize size = std::min<u64>(sizeof(code), address);
    // Less where the window begins in a page that is not there.
    for (usize wanted = size; wanted > 0; wanted /= 2) {
        const std::span<std::byte> part(code, wanted);
        if (copy_from_user(part.data(), address - wanted, wanted).ok()) {
            return ends_with_halt(part);
        }
    }
    return false;
}

// Whether a branch of the code around may have led here, past the `hlt`: `if (bad) hlt;` makes the
// place behind it the target of one, whose condition the flags still answer. Where functions begin
// it may have come by a pointer; so it may anywhere in code that was made at run time, of no file: the
// JVM's deoptimisation handlers stand behind a filler of `hlt` and are only ever returned to.
bool may_have_jumped_to(const trap_frame& frame) {
    if (is_aligned(frame.rip, function_alignment)) {
        return true;
    }
    u64 start = 0;
    u64 end = 0;
    the_address_space().for_each_area([&](const vma& area) {
        if (area.object && frame.rip >= area.start && frame.rip < area.end) {
            start = area.start;
            end = area.end;
        }
    });
    if (end == 0) {
        return true;
    }
    start = std::max(start, frame.rip - std::min(frame.rip, farthest_branch));
    end = std::min(end, frame.rip + farthest_branch);
    std::byte code[1024];
    for (u64 at = start; at < end; at += sizeof(code) - longest_branch) {
        const std::span<std::byte> part(code, std::min<u64>(sizeof(code), end - at));
        if (!copy_from_user(part.data(), at, part.size()).ok() ||
            may_branch_to(part, at, frame.rip, frame.rflags)) {
            return true;
        }
    }
    return false;
}

}  // namespace

void note_halt(const trap_frame& frame) {
    u8 before = 0;
    if (!from_program(frame) || copy_from_user_nofault(&before, frame.rip - 1, 1) != 1 ||
        before != halt_instruction) {
        return;
    }
    thread& self = current_thread();
    self.perhaps_halted = frame.rip;
    self.work.fetch_or(thread_work::return_work, std::memory_order_relaxed);
}

void answer_watch(trap_frame& frame) {
    cpu& me = this_cpu_block();
    if ((frame.rflags & flag_interrupts) != 0) {
        me.nmis_in_a_row = 0;
        return;
    }
    if (from_program(frame)) {
        // The interrupts that are pending come right after this one.
        take_interrupts_back(frame);
        return;
    }
    const u32 taken = me.interrupts_taken.load(std::memory_order_relaxed);
    me.nmis_in_a_row = taken == me.taken_at_nmi ? me.nmis_in_a_row + 1 : 1;
    me.taken_at_nmi = taken;
    if (me.nmis_in_a_row == most_nmis_in_a_row) {
        print_frame(frame);
        panic("CPU {} has had its interrupts off for {} seconds", me.number, most_nmis_in_a_row);
    }
}

void take_interrupts_back(trap_frame& frame) {
    thread& self = current_thread();
    frame.rflags |= flag_interrupts;
    self.interrupts_were_off = true;
    self.work.fetch_or(thread_work::return_work, std::memory_order_relaxed);
}

void settle_privileged(trap_frame& frame) {
    thread& self = current_thread();
    if (self.interrupts_were_off) {
        self.interrupts_were_off = false;
        say_interrupts_were_off();
    }
    const u64 perhaps_halted = self.perhaps_halted;
    self.perhaps_halted = 0;
    if (perhaps_halted != 0 && perhaps_halted == frame.rip && follows_halt(frame.rip) &&
        !may_have_jumped_to(frame)) {
        // As the CPU would have reported it in ring 3.
        --frame.rip;
        force_fault_signal(frame, signo::segv, si_code::kernel, 0, protection_fault, 0);
    }
}

}  // namespace kiln

// Registers: Intel SDM vol. 3, 11.4 (xAPIC), 11.12 (x2APIC), 11.5.4 (timer).
#include "arch/x86_64/apic.hh"

#include <algorithm>

#include "arch/x86_64/clock.hh"
#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/interrupts.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/paging.hh"
#include "core/clock.hh"
#include "core/log.hh"
#include "lib/scale.hh"

namespace kiln {
namespace {

namespace reg {
constexpr u32 id = 0x20, eoi = 0xb0, spurious = 0xf0, command_low = 0x300, command_high = 0x310,
              timer_entry = 0x320, error_entry = 0x370, lint0 = 0x350, lint1 = 0x360,
              timer_initial = 0x380, timer_current = 0x390, timer_divide = 0x3e0, task_priority = 0x80;
}

constexpr u32 masked = 1u << 16;
constexpr u32 divide_by_1 = 0xb;
constexpr u32 timer_deadline_mode = 2u << 17;
constexpr u32 delivery_pending = 1u << 12;
constexpr u32 only_self = 1u << 18;
constexpr u32 all_but_self = 3u << 18;
constexpr u32 level_assert = 1u << 14;

struct apic_state {
    volatile u32* registers = nullptr;
    bool x2apic = false;
    bool deadline_mode = false;
    u64 timer_hertz = 1'000'000'000;
};
constinit apic_state apic;

u32 read(u32 offset) {
    return apic.x2apic ? static_cast<u32>(read_msr(msr::x2apic_start + offset / 16))
                       : apic.registers[offset / 4];
}

void write(u32 offset, u32 value) {
    if (apic.x2apic) {
        write_msr(msr::x2apic_start + offset / 16, value);
    } else {
        apic.registers[offset / 4] = value;
    }
}

// Interrupts off: the two halves of an xAPIC command belong together.
void command(u32 apic_id, u32 low) {
    const u64 saved = interrupts_save_and_disable();
    if (apic.x2apic) {
        write_msr(msr::x2apic_start + reg::command_low / 16, u64{apic_id} << 32 | low);
    } else {
        while ((read(reg::command_low) & delivery_pending) != 0) {
            cpu_relax();
        }
        write(reg::command_high, apic_id << 24);
        write(reg::command_low, low);
    }
    interrupts_restore(saved);
}

u64 timer_ticks(u64 duration) {
    // Longer waits are made of several; the interrupt arms the timer again.
    constexpr u64 longest = 4 * ns_per_s;
    const u64 ticks = multiply_divide(std::min(duration, longest), apic.timer_hertz, ns_per_s) + 1;
    return std::min<u64>(ticks, 0xffff'ffff);
}

}  // namespace

void apic_init(u64 physical_address) {
    const u64 base = read_msr(msr::apic_base);
    apic.x2apic = (base & 0x400) != 0 || (cpuid(1).ecx & 1u << 21) != 0;
    apic.deadline_mode = (cpuid(1).ecx & 1u << 24) != 0;
    if (!apic.x2apic) {
        result<void*> mapped = map_device(physical_address, page_size);
        if (!mapped.ok()) {
            panic("cannot map the local APIC at {:x}", physical_address);
        }
        apic.registers = static_cast<volatile u32*>(mapped.value());
    }
}

void cpu_apic_start() {
    write_msr(msr::apic_base, read_msr(msr::apic_base) | 0x800 | (apic.x2apic ? 0x400 : 0));
    // First: in an APIC that is switched off, every entry of the local vector table stays masked (11.4.7.2).
    write(reg::spurious, 0x100 | interrupt_vector::spurious);
    write(reg::task_priority, 0);
    write(reg::lint0, masked);
    write(reg::lint1, 0x400);  // NMI
    write(reg::error_entry, masked);
    write(reg::timer_divide, divide_by_1);
    write(reg::timer_entry, interrupt_vector::timer | (apic.deadline_mode ? timer_deadline_mode : 0));
}

u32 apic_id_here() {
    const u32 id = read(reg::id);
    return apic.x2apic ? id : id >> 24;
}

u32 apic_id_of(u32 cpu_number) {
    return cpu_block(cpu_number).apic_id;
}

void end_of_interrupt() {
    write(reg::eoi, 0);
}

void send_to_cpu(u32 cpu_number, u8 vector) {
    command(apic_id_of(cpu_number), vector | level_assert);
}

void send_to_all_others(u8 vector) {
    command(0, all_but_self | level_assert | vector);
}

void interrupt_self(u8 vector) {
    // The shorthand stands for the destination, so a command that was interrupted between its two
    // halves finds the other one as it left it.
    write(reg::command_low, only_self | level_assert | vector);
}

void send_nmi_to_cpu(u32 cpu_number) {
    cpu_block(cpu_number).nmi_asked.store(true, std::memory_order_release);
    command(apic_id_of(cpu_number), level_assert | 4u << 8);
}

void send_init(u32 apic_id) {
    command(apic_id, level_assert | 5u << 8);
}

void send_startup(u32 apic_id, u8 page_number) {
    command(apic_id, level_assert | 6u << 8 | page_number);
}

void send_reschedule(u32 cpu_number) {
    send_to_cpu(cpu_number, interrupt_vector::reschedule);
}

void apic_timer_count_freely() {
    write(reg::timer_entry, masked | interrupt_vector::timer);
    write(reg::timer_initial, 0xffff'ffff);
}

u32 apic_timer_elapsed() {
    return 0xffff'ffff - read(reg::timer_current);
}

void set_apic_timer_frequency(u64 hertz) {
    apic.timer_hertz = hertz;
    write(reg::timer_initial, 0);
    write(reg::timer_entry, interrupt_vector::timer | (apic.deadline_mode ? timer_deadline_mode : 0));
}

void arm_local_timer(u64 deadline) {
    const u64 saved = interrupts_save_and_disable();
    cpu& me = this_cpu_block();
    if (deadline < me.timer_armed) {
        const u64 time = now();
        const u64 left = deadline > time ? deadline - time : 0;
        me.timer_armed = deadline;
        if (apic.deadline_mode) {
            write_msr(msr::tsc_deadline, tsc_at(time + left));
        } else {
            write(reg::timer_initial, static_cast<u32>(timer_ticks(left)));
        }
    }
    interrupts_restore(saved);
}

}  // namespace kiln

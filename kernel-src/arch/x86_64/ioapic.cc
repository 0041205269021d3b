// kernel only
// The IO-APIC (82093AA data sheet): turns interrupt lines into messages to a local APIC.
//
// Lock: `registers_lock`, innermost; the index and data registers are one resource.
#include "arch/x86_64/ioapic.hh"

#include "arch/x86_64/apic.hh"
#include "arch/x86_64/interrupts.hh"
#include "arch/x86_64/paging.hh"
#include "arch/x86_64/ports.hh"
#include "core/spinlock.hh"
#include "drivers/acpi/acpi.hh"

namespace kiln {
namespace {

constexpr u32 version_register = 1, first_redirection = 0x10;
constexpr u32 active_low_bit = 1u << 13, level_bit = 1u << 15, masked_bit = 1u << 16;
constexpr usize data_offset = 0x10;

struct io_apic {
    volatile u32* registers = nullptr;
    u32 gsi_base = 0;
    u32 inputs = 0;

    u32 read(u32 index) const {
        registers[0] = index;
        return registers[data_offset / sizeof(u32)];
    }
    void write(u32 index, u32 value) const {
        registers[0] = index;
        registers[data_offset / sizeof(u32)] = value;
    }
};

constinit io_apic io_apics[acpi::max_io_apics];
constinit u32 io_apic_total = 0;
constinit irq_spinlock registers_lock;

io_apic* io_apic_of(u32 gsi) {
    for (u32 i = 0; i < io_apic_total; ++i) {
        io_apic& at = io_apics[i];
        if (gsi >= at.gsi_base && gsi - at.gsi_base < at.inputs) {
            return &at;
        }
    }
    return nullptr;
}

result<void> take_io_apic(const acpi::io_apic_entry& entry) {
    void* registers = TRY(map_device(entry.address, page_size));
    io_apic& made = io_apics[io_apic_total];
    made.registers = static_cast<volatile u32*>(registers);
    made.gsi_base = entry.gsi_base;
    made.inputs = ((made.read(version_register) >> 16) & 0xff) + 1;
    ++io_apic_total;
    return {};
}

}  // namespace

// The words that set up an 8259 (8259A data sheet, "initialization command words"): edges, cascaded,
// its first vector, where the other one is wired, 8086 mode; then everything masked.
void silence_legacy_controllers() {
    struct controller {
        u16 port;
        u8 vector;
        u8 wiring;
    };
    for (const auto& each : {controller{0x20, interrupt_vector::legacy, 1u << 2},
                             controller{0xa0, interrupt_vector::legacy + 8, 2}}) {
        const u16 data = each.port + 1;
        out8(each.port, 0x11);
        out8(data, each.vector);
        out8(data, each.wiring);
        out8(data, 0x01);
        out8(data, 0xff);
    }
}

// Inputs come out of reset masked, and firmware leaves them so or routed to the legacy controllers,
// which are masked: so nothing is written to those that nobody uses.
result<void> io_apic_init() {
    const auto& madt = acpi::tables().madt;
    for (u32 i = 0; i < madt.io_apic_total; ++i) {
        TRY(take_io_apic(madt.io_apic[i]));
    }
    return {};
}

result<void> route_gsi(u32 gsi, u32 vector, bool level, bool active_low, u32 cpu) {
    irq_guard guard(registers_lock);
    io_apic* target = io_apic_of(gsi);
    if (target == nullptr) {
        return err::nodev;
    }
    const u32 at = first_redirection + (gsi - target->gsi_base) * 2;
    target->write(at, masked_bit);
    target->write(at + 1, apic_id_of(cpu) << 24);
    target->write(at, vector | (active_low ? active_low_bit : 0) | (level ? level_bit : 0));
    return {};
}

void mask_gsi(u32 gsi) {
    irq_guard guard(registers_lock);
    if (io_apic* target = io_apic_of(gsi); target != nullptr) {
        target->write(first_redirection + (gsi - target->gsi_base) * 2, masked_bit);
    }
}

}  // namespace kiln

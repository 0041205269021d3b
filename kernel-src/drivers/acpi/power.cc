// kernel only
// How the machine ends: by a word to Xen where that is the host; power-off by ACPI S5, reset by ACPI's
// reset register, the chipset's, the keyboard controller, and at last a triple fault. No locks, no
// allocation: a panic comes here too.
#include "arch/x86_64/ports.hh"
#include "core/page.hh"
#include "core/spinlock.hh"
#include "drivers/acpi/acpi.hh"
#include "drivers/acpi/tables.hh"
#include "drivers/devices.hh"
#include "drivers/xen/console.hh"
#include "drivers/xen/platform.hh"

namespace kiln {
namespace {

using acpi::register_address;

// PM1 control (ACPI 6.4, 4.8.3.2.1): SCI_EN says that ACPI mode is on.
constexpr u16 sci_enable = 1u << 0;
constexpr u16 sleep_type_shift = 10;
constexpr u16 sleep_type_mask = 7u << sleep_type_shift;
constexpr u16 sleep_enable = 1u << 13;

constexpr u16 chipset_reset_port = 0xcf9, keyboard_command_port = 0x64;

[[noreturn]] void halt_forever() {
    for (;;) {
        asm volatile("cli; hlt");
    }
}

// Time for the machine to act on a write, without a clock: each port read is an exit.
void let_the_machine_act() {
    for (int i = 0; i < 20'000; ++i) {
        (void)in8(0x80);
    }
}

bool is_port(const register_address& target) {
    return target.where == register_address::space::io && target.address <= 0xffff;
}

void enable_acpi_mode(const acpi::fadt_information& fadt) {
    const u16 port = static_cast<u16>(fadt.pm1a_control.address);
    if ((in16(port) & sci_enable) != 0 || fadt.smi_command == 0 || fadt.acpi_enable == 0) {
        return;
    }
    out8(static_cast<u16>(fadt.smi_command), fadt.acpi_enable);
    for (int i = 0; i < 10'000 && (in16(port) & sci_enable) == 0; ++i) {
        cpu_relax();
    }
}

void sleep_through(const register_address& control, u8 type) {
    if (!is_port(control)) {
        return;
    }
    const u16 port = static_cast<u16>(control.address);
    const u16 kept = static_cast<u16>(in16(port) & ~(sleep_type_mask | sleep_enable));
    out16(port, static_cast<u16>(kept | type << sleep_type_shift | sleep_enable));
}

void write_register(const register_address& target, volatile u8* mapped, u8 value) {
    if (is_port(target)) {
        out8(static_cast<u16>(target.address), value);
    } else if (mapped != nullptr) {
        *mapped = value;
    }
}

void power_off_by_acpi() {
    const auto& tables = acpi::tables();
    if (!tables.fadt.present) {
        return;
    }
    // Hardware-reduced machines: type and enable bit in one byte (ACPI 6.4, 4.8.3.7).
    if (tables.fadt.hardware_reduced && tables.fadt.sleep_control.present()) {
        const u8 type = tables.s5.present ? tables.s5.type_a : 5;
        write_register(tables.fadt.sleep_control, tables.sleep_control,
                       static_cast<u8>(type << 2 | 1u << 5));
        return;
    }
    if (!tables.s5.present || !is_port(tables.fadt.pm1a_control)) {
        return;
    }
    enable_acpi_mode(tables.fadt);
    sleep_through(tables.fadt.pm1a_control, tables.s5.type_a);
    sleep_through(tables.fadt.pm1b_control, tables.s5.type_b);
}

[[noreturn]] void triple_fault() {
    struct [[gnu::packed]] {
        u16 limit = 0;
        u64 base = 0;
    } no_table;
    asm volatile("lidt %0; int3" : : "m"(no_table));
    halt_forever();
}

// QEMU's pvpanic, a device of the DSDT (docs/specs/pvpanic.txt of QEMU): it tells the host of a panic,
// which as a rule ends the machine then. Looked for only now, so it costs no start anything.
void tell_panic_device() {
    constexpr u8 panicked = 1;
    const u16 port = acpi::find_port_of(acpi::tables().dsdt, "QEMU0001");
    if (port != 0) {
        out8(port, panicked);
    }
}

// Returns where the host is not Xen.
void end_by_xen(xen::shutdown_reason reason) {
    xen::finish_console();
    xen::shut_down(reason);
}

}  // namespace

void crash() {
    end_by_xen(xen::shutdown_reason::crash);
    tell_panic_device();
    power_off();
}

void power_off() {
    interrupts_save_and_disable();
    end_by_xen(xen::shutdown_reason::poweroff);
    // Without ACPI there is no power-off. Monitors of microVMs take a reset for the end.
    if (!acpi::tables().present) {
        reboot();
    }
    power_off_by_acpi();
    let_the_machine_act();
    halt_forever();
}

void reboot() {
    interrupts_save_and_disable();
    end_by_xen(xen::shutdown_reason::reboot);
    const auto& fadt = acpi::tables().fadt;
    if (fadt.present && fadt.reset_supported) {
        write_register(fadt.reset, acpi::tables().reset, fadt.reset_value);
        let_the_machine_act();
    }
    // Bit 1: reset of the whole system; bit 2 makes it happen.
    out8(chipset_reset_port, 0x02);
    out8(chipset_reset_port, 0x06);
    let_the_machine_act();
    out8(keyboard_command_port, 0xfe);
    let_the_machine_act();
    triple_fault();
}

}  // namespace kiln

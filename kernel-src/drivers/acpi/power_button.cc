// kernel only
// The power button: a bit of the PM1 event registers (ACPI 6.4, 4.8.3.1) or, on QEMU's machines with
// reduced hardware, an event of the generic event device. The interrupt handler notes it, a thread acts.
#include <atomic>

#include "arch/x86_64/interrupts.hh"
#include "arch/x86_64/paging.hh"
#include "arch/x86_64/ports.hh"
#include "core/log.hh"
#include "core/thread.hh"
#include "core/wait_queue.hh"
#include "drivers/acpi/acpi.hh"
#include "drivers/devices.hh"
#include "drivers/mmio.hh"
#include "drivers/pci/pci.hh"

namespace kiln {
namespace {

constexpr u16 power_button = 1u << 8;
// Of QEMU's event device (hw/acpi/generic_event_device.h).
constexpr u32 event_power_down = 2;
// PM1 control: SCI_EN.
constexpr u16 acpi_mode = 1u << 0;

constinit u16 event_port = 0;
constinit volatile u8* event_selector = nullptr;
constinit std::atomic<bool> was_pressed{false};
constinit wait_queue watchers;

void note_press() {
    was_pressed.store(true, std::memory_order_release);
    watchers.wake_all();
}

// PCI functions may have the same line.
void on_fixed_event(void*) {
    if ((in16(event_port) & power_button) != 0) {
        out16(event_port, power_button);
        note_press();
    }
}

void on_event(void*) {
    if ((mmio_read<u32>(event_selector) & event_power_down) != 0) {
        note_press();
    }
}

void watch(void* context) {
    const auto pressed = reinterpret_cast<void (*)()>(context);
    for (;;) {
        (void)wait_until(
            watchers, [] { return was_pressed.exchange(false, std::memory_order_acq_rel); }, never,
            wait_mode::uninterruptible);
        pressed();
    }
}

bool has_ports(const acpi::fadt_information& fadt) {
    using space = acpi::register_address::space;
    return fadt.pm1a_event.present() && fadt.pm1a_event.where == space::io &&
           fadt.pm1a_event.address <= 0xffff && fadt.pm1_event_length >= 4 &&
           fadt.pm1a_control.where == space::io;
}

result<void> connect_fixed(const acpi::fadt_information& fadt) {
    event_port = static_cast<u16>(fadt.pm1a_event.address);
    TRY(pci::connect_shared_line(static_cast<u8>(fadt.sci_interrupt), &on_fixed_event, nullptr, 0));
    if ((in16(static_cast<u16>(fadt.pm1a_control.address)) & acpi_mode) == 0 &&
        fadt.smi_command != 0 && fadt.acpi_enable != 0) {
        out8(static_cast<u16>(fadt.smi_command), fadt.acpi_enable);
    }
    // What happened before the machine was ours is of no account.
    out16(event_port, power_button);
    out16(static_cast<u16>(event_port + fadt.pm1_event_length / 2), power_button);
    return {};
}

result<void> connect_event_device(const acpi::event_device& events) {
    event_selector = static_cast<volatile u8*>(TRY(map_device(events.selector, sizeof(u32))));
    const u32 vector = TRY(allocate_interrupt_vector(&on_event, nullptr, 0));
    return route_gsi(events.interrupt, vector, events.level, events.active_low, 0);
}

result<void> connect() {
    const acpi::information& tables = acpi::tables();
    if (tables.events.selector != 0) {
        return connect_event_device(tables.events);
    }
    const bool is_fixed = tables.fadt.present && !tables.fadt.hardware_reduced &&
                          tables.fadt.has_fixed_power_button && has_ports(tables.fadt);
    return is_fixed ? connect_fixed(tables.fadt) : err::nodev;
}

}  // namespace

void watch_power_button(void (*pressed)()) {
    const result<void> connected = connect();
    if (!connected.ok()) {
        log_debug("acpi: no power button (error {})", connected.error());
        return;
    }
    if (!start_kernel_thread("power", watch, reinterpret_cast<void*>(pressed)).ok()) {
        log_error("no memory to watch the power button");
    }
}

}  // namespace kiln

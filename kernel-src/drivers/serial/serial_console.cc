// kernel only
#include "drivers/serial/serial_console.hh"

#include "arch/x86_64/interrupts.hh"
#include "core/log.hh"
#include "drivers/acpi/acpi.hh"
#include "drivers/serial/uart16550.hh"
#include "lib/forever.hh"

namespace kiln {
namespace {

constexpr u8 com1_irq = 4;
// Written with interrupts off, so not much at a time.
constexpr usize output_piece = 64;

constinit forever<serial_console> console;
constinit console_ports ports;

}  // namespace

console_ports& the_console() {
    return ports;
}

serial_console& the_serial_console() {
    return *console;
}

void fill_console_with_serial() {
    for (byte_port** role :
         {&ports.standard_input, &ports.standard_output, &ports.standard_error}) {
        *role = *role == nullptr ? &*console : *role;
    }
    if (ports.standard_input == &*console && first_serial_port().present() &&
        !console->start_input().ok()) {
        log_warning("serial: input has no interrupt and is not taken");
    }
}

result<void> serial_console::start_input() {
    const auto wiring = acpi::isa_interrupt(com1_irq);
    const u32 vector = TRY(allocate_interrupt_vector(&on_interrupt, this, 0));
    TRY(route_gsi(wiring.gsi, vector, wiring.level, wiring.active_low, 0));
    first_serial_port().enable_receive_interrupt();
    return {};
}

void serial_console::on_interrupt(void* context) {
    auto& self = *static_cast<serial_console*>(context);
    {
        irq_guard guard(self._lock);
        while (first_serial_port().has_input()) {
            self.take_byte(static_cast<char>(first_serial_port().take_input()));
        }
    }
    self.tell_of_input();
}

result<usize> serial_console::write(std::span<const std::byte> from, bool) {
    const std::string_view text(reinterpret_cast<const char*>(from.data()), from.size());
    for (usize at = 0; at < text.size(); at += output_piece) {
        {
            irq_guard guard(_lock);
            serial_put(text.substr(at, output_piece));
        }
        yield();
    }
    return from.size();
}

void serial_console::drain() {
    while (!first_serial_port().idle()) {
        yield();
    }
}

}  // namespace kiln

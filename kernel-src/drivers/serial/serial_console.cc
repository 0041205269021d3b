// kernel only
// Lock: `_lock`, taken by the interrupt handler; the echo is written under it (a byte or three).
#include "drivers/serial/serial_console.hh"

#include <algorithm>

#include "arch/x86_64/interrupts.hh"
#include "core/log.hh"
#include "drivers/acpi/acpi.hh"
#include "drivers/serial/uart16550.hh"
#include "fs/file.hh"
#include "lib/forever.hh"

namespace kiln {
namespace {

constexpr u8 com1_irq = 4;
constexpr char end_of_transmission = 4, backspace = 8, kill_line = 21, rubout = 127;
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
    self._changed.wake_all(poll_event::in | poll_event::rdnorm);
}

void serial_console::take_byte(char byte) {
    switch (byte) {
        case '\r':
        case '\n':
            keep('\n');
            end_line();
            break;
        case backspace:
        case rubout:
            erase();
            break;
        case kill_line:
            while (_written != _committed) {
                erase();
            }
            break;
        case end_of_transmission:
            _end_of_file = _end_of_file || _written == _committed;
            end_line();
            break;
        default:
            keep(byte);
            break;
    }
}

void serial_console::keep(char byte) {
    // The last place is kept for the newline that ends the line.
    const u64 limit = byte == '\n' ? input_size : input_size - 1;
    if (_written - _read < limit) {
        _input[_written++ % input_size] = byte;
        serial_put({&byte, 1});
    }
}

void serial_console::erase() {
    if (_written != _committed) {
        --_written;
        serial_put("\b \b");
    }
}

void serial_console::end_line() {
    _committed = _written;
}

bool serial_console::readable() {
    irq_guard guard(_lock);
    return _read != _committed || _end_of_file;
}

// One line at the most, as terminals do.
usize serial_console::copy_line(std::span<std::byte> into, bool& end_of_file) {
    irq_guard guard(_lock);
    usize copied = 0;
    while (copied < into.size() && _read != _committed) {
        const char byte = _input[_read++ % input_size];
        into[copied++] = static_cast<std::byte>(byte);
        if (byte == '\n') {
            break;
        }
    }
    end_of_file = copied == 0 && _end_of_file;
    _end_of_file = _end_of_file && !end_of_file;
    return copied;
}

result<usize> serial_console::read(std::span<std::byte> into, bool nonblocking) {
    for (;;) {
        bool end_of_file = false;
        const usize copied = copy_line(into, end_of_file);
        if (copied != 0 || end_of_file || into.empty()) {
            return copied;
        }
        if (nonblocking) {
            return err::again;
        }
        TRY(wait_until(_changed, [this] { return readable(); }));
    }
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

u32 serial_console::poll_events() {
    const u32 input = readable() ? poll_event::in | poll_event::rdnorm : 0;
    return input | poll_event::out | poll_event::wrnorm;
}

void serial_console::drain() {
    while (!first_serial_port().idle()) {
        yield();
    }
}

}  // namespace kiln

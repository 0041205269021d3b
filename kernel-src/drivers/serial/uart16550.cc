// kernel only
#include "drivers/serial/uart16550.hh"

#include <atomic>

#include "arch/x86_64/ports.hh"
#include "core/console.hh"
#include "core/spinlock.hh"
#include "drivers/devices.hh"

namespace kiln {
namespace {

// Registers (PC16550D data sheet, section 8).
constexpr u16 data = 0, interrupt_enable = 1, fifo_control = 2, line_control = 3, modem_control = 4,
              line_status = 5, scratch = 7;
constexpr u8 receive_interrupt = 1u << 0;
constexpr u8 divisor_latch = 1u << 7, eight_bits = 3;
constexpr u8 fifo_on_and_cleared = 0x07;
// OUT2 gates the interrupt line on PCs.
constexpr u8 dtr_rts_out2 = 0x0b;
constexpr u8 status_data_ready = 1u << 0, status_fifo_empty = 1u << 5, status_idle = 1u << 6;
constexpr u8 fifo_size = 16;
// A chip that does not get ready loses bytes, so as not to hold up whoever speaks: each poll is a port
// access, so this is under a second. It is not given up, as it may only be a busy host's.
constexpr u32 most_polls = 200'000;

constinit uart16550 com1{com1_port};
constinit std::atomic<void (*)(std::string_view)> other_output{nullptr};

}  // namespace

uart16550& first_serial_port() {
    return com1;
}

void uart16550::write(u16 index, u8 value) {
    out8(static_cast<u16>(_port + index), value);
}

u8 uart16550::read(u16 index) {
    return in8(static_cast<u16>(_port + index));
}

bool uart16550::init() {
    write(scratch, 0x5a);
    if (read(scratch) != 0x5a) {
        return false;
    }
    write(interrupt_enable, 0);
    write(line_control, divisor_latch);
    write(data, 1);
    write(interrupt_enable, 0);
    write(line_control, eight_bits);
    write(fifo_control, fifo_on_and_cleared);
    write(modem_control, dtr_rts_out2);
    _present = true;
    return true;
}

// The status is read once a FIFO's worth, because reading it costs as much as writing a byte.
bool uart16550::wait_for_room() {
    const u32 limit = _late ? 1 : most_polls;
    for (u32 polls = 0; _room == 0; ++polls) {
        if ((read(line_status) & status_fifo_empty) != 0) {
            _room = fifo_size;
            _late = false;
        } else if (polls == limit) {
            _late = true;
            return false;
        } else {
            cpu_relax();
        }
    }
    return true;
}

void uart16550::put(char byte) {
    if (_present && wait_for_room()) {
        --_room;
        write(data, static_cast<u8>(byte));
    }
}

usize uart16550::put_some(std::string_view bytes) {
    if (!_present) {
        return bytes.size();
    }
    if (_room == 0 && (read(line_status) & status_fifo_empty) != 0) {
        _room = fifo_size;
    }
    usize done = 0;
    for (; done < bytes.size() && _room != 0; ++done, --_room) {
        write(data, static_cast<u8>(bytes[done]));
    }
    return done;
}

bool uart16550::idle() {
    return !_present || _late || (read(line_status) & status_idle) != 0;
}

bool uart16550::has_input() {
    return _present && (read(line_status) & status_data_ready) != 0;
}

u8 uart16550::take_input() {
    return read(data);
}

void uart16550::enable_receive_interrupt() {
    write(interrupt_enable, receive_interrupt);
}

void serial_init() {
    com1.init();
}

void set_other_output(void (*put)(std::string_view text)) {
    other_output.store(put, std::memory_order_release);
}

void serial_put(std::string_view text) {
    if (!com1.present()) {
        if (const auto put = other_output.load(std::memory_order_acquire)) {
            put(text);
        }
        return;
    }
    for (const char byte : text) {
        if (byte == '\n') {
            com1.put('\r');
        }
        com1.put(byte);
    }
}

}  // namespace kiln

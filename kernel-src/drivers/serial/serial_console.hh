// The serial console as the program's terminal, for machines without virtio-serial ports.
//
// Output is polled. Input comes by interrupt and goes through the usual line editing: echo, erase
// (backspace), kill (^U), end of file (^D at the start of a line), carriage return as newline.
#pragma once

#include "core/console.hh"
#include "core/spinlock.hh"

namespace kiln {

class serial_console final : public byte_port {
public:
    // Starts taking input: routes the UART's interrupt. Once.
    result<void> start_input();

    result<usize> read(std::span<std::byte> into, bool nonblocking) override;
    result<usize> write(std::span<const std::byte> from, bool nonblocking) override;
    u32 poll_events() override;
    wait_queue& poll_queue() override { return _changed; }
    bool is_terminal() const override { return true; }
    void drain() override;

private:
    static constexpr usize input_size = 4096;

    static void on_interrupt(void* context);
    void take_byte(char byte);
    void erase();
    void keep(char byte);
    void end_line();
    bool readable();
    usize copy_line(std::span<std::byte> into, bool& end_of_file);

    irq_spinlock _lock;
    wait_queue _changed;
    char _input[input_size]{};  // a ring: [_read, _committed) may be read, [.., _written) is edited
    u64 _read = 0;
    u64 _committed = 0;
    u64 _written = 0;
    bool _end_of_file = false;  // ^D: after what is committed
};

serial_console& the_serial_console();
// Gives the streams that no port took to the serial console.
void fill_console_with_serial();

}  // namespace kiln

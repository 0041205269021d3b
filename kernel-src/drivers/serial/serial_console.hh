// The serial console as the program's terminal, for machines without virtio-serial ports.
//
// Output is polled. Input comes by interrupt.
#pragma once

#include "drivers/serial/terminal_port.hh"

namespace kiln {

class serial_console final : public terminal_port {
public:
    constexpr serial_console() : terminal_port(&serial_put) {}

    // Starts taking input: routes the UART's interrupt. Once.
    result<void> start_input();

    result<usize> write(std::span<const std::byte> from, bool nonblocking) override;
    void drain() override;

private:
    static void on_interrupt(void* context);
};

serial_console& the_serial_console();
// Gives the streams that no port took to the serial console.
void fill_console_with_serial();

}  // namespace kiln

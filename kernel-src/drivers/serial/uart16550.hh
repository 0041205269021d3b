// A 16550 UART at a port, polled: what early boot, panics and the serial console stand on.
// Context: any; takes no locks.
#pragma once

#include <string_view>

#include "lib/types.hh"

namespace kiln {

inline constexpr u16 com1_port = 0x3f8;

class uart16550 {
public:
    constexpr explicit uart16550(u16 port) : _port(port) {}

    // Sets 115200 8N1 with FIFOs; false when there is no such chip.
    bool init();
    bool present() const { return _present; }

    void put(char byte);
    // As much as the FIFO takes now; 0 when it is full.
    usize put_some(std::string_view bytes);
    // Whether everything has left the chip, or it does not get rid of it.
    bool idle();

    bool has_input();
    u8 take_input();
    void enable_receive_interrupt();

private:
    void write(u16 index, u8 value);
    u8 read(u16 index);
    bool wait_for_room();

    u16 _port;
    bool _present = false;
    bool _late = false;  // it was not ready in time when last asked
    u8 _room = 0;
};

uart16550& first_serial_port();

}  // namespace kiln

// The controller's registers beyond its rings: reset, address, link, what it receives and when it
// interrupts. (8254x manual, chapters 13 and 14; 82574 datasheet, 4.6 and 10.) No locks: one thread
// at a time, but take_causes, which is the interrupt handler's.
#pragma once

#include "drivers/e1000/registers.hh"
#include "lib/result.hh"
#include "net/net_device.hh"

namespace kiln::e1000 {

class hardware {
public:
    // `newer`: an 82574.
    void init(volatile u8* registers, bool newer) {
        _registers = registers;
        _newer = newer;
    }
    volatile u8* registers() const { return _registers; }

    // No interrupt, no access to memory, every register as after power-on. err::timedout when the
    // device does not come back.
    result<void> reset();
    // Receives what is for `mac` and for groups, and sends. After the rings are programmed.
    void enable(const net::mac_address& mac);
    // Ends all access to memory, as far as the device obeys.
    void stop();
    // From the address registers, else from the EEPROM; err::nodev when there is none.
    result<net::mac_address> read_mac();
    bool link_up() const { return (read(reg::status) & status::link_up) != 0; }
    void use_message_0() { write(reg::vector_allocation, vectors::all_to_0); }

    // What has happened since the last call; all interrupts are masked if it is anything.
    u32 take_causes(bool line_is_shared);

private:
    u32 read(u32 where) const;
    void write(u32 where, u32 value);
    result<u16> read_eeprom(u32 index);

    volatile u8* _registers = nullptr;
    bool _newer = false;
};

}  // namespace kiln::e1000

// PCI configuration space behind one interface, so that enumeration, capabilities and BARs run on
// ECAM, on the two ports, and on a simulated machine in the host tests. (PCI Local Bus 3.0,
// chapter 6.)
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::pci {

struct address {
    u8 bus = 0;
    u8 device = 0;
    u8 function = 0;
    bool operator==(const address&) const = default;
};

// Aligned 32-bit accesses only: that is all both mechanisms do equally, and nothing needs others.
// Context: threads and interrupt handlers.
class config_space {
public:
    virtual u32 read(address from, u16 offset) = 0;
    virtual void write(address to, u16 offset, u32 value) = 0;

protected:
    ~config_space() = default;
};

namespace config {
inline constexpr u16 id = 0x00, command = 0x04, class_code = 0x08, header = 0x0c, bar0 = 0x10,
                     bus_numbers = 0x18, subsystem = 0x2c, capabilities = 0x34, interrupt = 0x3c;
inline constexpr u32 status_has_capabilities = 1u << 20;
}

namespace command {
inline constexpr u32 io = 1u << 0, memory = 1u << 1, bus_master = 1u << 2, no_intx = 1u << 10;
}

namespace capability {
inline constexpr u8 msi = 0x05, vendor = 0x09, msix = 0x11;
}

inline constexpr u32 bars_of_a_device = 6;

}  // namespace kiln::pci

// Registers of an IDE channel (ATA8-APT, by ports) and of its bus master (Programming Interface for Bus
// Master IDE Controller 1.0, which Intel's PIIX3 and PIIX4 follow).
#pragma once

#include "lib/types.hh"

namespace kiln::ide {

// From the channel's first block of ports.
namespace reg {
inline constexpr u16 data = 0, count = 2, address_low = 3, address_middle = 4, address_high = 5,
                     device = 6, status = 7, command = 7;
}
namespace status {
inline constexpr u8 error = 1u << 0, data_request = 1u << 3, fault = 1u << 5, busy = 1u << 7;
inline constexpr u8 floating = 0xff;  // nothing drives the bus
}
// In the device register.
inline constexpr u8 device_lba = 0xe0, second_device = 1u << 4;
// In the control block's only port, which reads as the status without taking the interrupt back.
inline constexpr u8 control_quiet = 1u << 1, control_reset = 1u << 2;

// From the channel's part of the bus master's ports.
namespace master {
inline constexpr u16 command = 0, status = 2, table = 4, channel_stride = 8;
inline constexpr u8 start = 1u << 0, to_memory = 1u << 3;                        // command
inline constexpr u8 active = 1u << 0, error = 1u << 1, interrupt = 1u << 2;      // status
inline constexpr u8 drives_do_dma = 0x60;                                        // status, to be kept
}

// A region of memory below 4 GiB that does not cross 64 KiB.
struct region {
    u32 address;
    u16 length;  // 0: 64 KiB
    u16 flags;
};
static_assert(sizeof(region) == 8);
inline constexpr u16 last_region = 1u << 15;
inline constexpr u64 region_limit = 64 * KiB;

}  // namespace kiln::ide

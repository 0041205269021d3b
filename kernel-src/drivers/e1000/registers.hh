// Registers and descriptors of Intel's gigabit Ethernet controllers, as far as the driver uses them.
//
// Facts from Intel's "PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual"
// (8254x; 317453), chapters 3 and 13, and the "82574 GbE Controller Family Datasheet" (82574L;
// 318694), chapters 7 and 10.
#pragma once

#include "lib/types.hh"

namespace kiln::e1000 {

namespace reg {
inline constexpr u32 control = 0x0000, status = 0x0008, eeprom_read = 0x0014,
                     extended_control = 0x0018, interrupt_cause = 0x00c0,
                     interrupt_throttle = 0x00c4, interrupt_mask_set = 0x00d0,
                     interrupt_mask_clear = 0x00d8, vector_allocation = 0x00e4,
                     receive_control = 0x0100, transmit_control = 0x0400, transmit_gap = 0x0410,
                     receive_base = 0x2800, receive_delay = 0x2820, transmit_base = 0x3800,
                     receive_checksum = 0x5000, multicast_table = 0x5200, address_low = 0x5400,
                     address_high = 0x5404, window_size = 0x2'0000;
// From the base of a ring.
inline constexpr u32 ring_low = 0x00, ring_high = 0x04, ring_size = 0x08, ring_head = 0x10,
                     ring_tail = 0x18, descriptor_control = 0x28;
}  // namespace reg

namespace control {
inline constexpr u32 full_duplex = 1u << 0, auto_speed = 1u << 5, link_up = 1u << 6,
                     force_speed = 1u << 11, force_duplex = 1u << 12, reset = 1u << 26;
}
namespace status {
inline constexpr u32 link_up = 1u << 1;
}
namespace cause {
inline constexpr u32 sent = 1u << 0, link = 1u << 2, received = 1u << 7,
                     receive_queue_0 = 1u << 20, transmit_queue_0 = 1u << 22,
                     other = 1u << 24, all = 0xffff'ffff;
}
namespace receive_control {
inline constexpr u32 enable = 1u << 1, all_multicast = 1u << 4, accept_broadcast = 1u << 15,
                     buffers_of_2048 = 0, strip_crc = 1u << 26;
}
namespace transmit_control {
// Retries and the slot time are those of full duplex.
inline constexpr u32 enable = 1u << 1, pad_short = 1u << 3, collisions = 15u << 4,
                     collision_distance = 0x40u << 12;
}
inline constexpr u32 transmit_gap_copper = 10 | 8u << 10 | 6u << 20;
// The 82574 wants these set: descriptors are counted, one by one.
inline constexpr u32 descriptor_control_82574 = 1u << 22 | 1u << 24;
inline constexpr u32 receive_checksum_on = 1u << 8 | 1u << 9;
inline constexpr u32 address_valid = 1u << 31;
inline constexpr u32 multicast_words = 128;

// The word at `index` of the EEPROM; the 82574's register is laid out otherwise.
namespace eeprom {
inline constexpr u32 start = 1, done = 1u << 4, index_shift = 8, done_82574 = 1u << 1,
                     index_shift_82574 = 2;
}

// The 82574's table of MSI-X messages: four bits a cause, of which the upper says that it is used.
namespace vectors {
inline constexpr u32 used = 8;
inline constexpr u32 all_to_0 = used | used << 8 | used << 16;
}

// Legacy receive descriptor.
struct receive_descriptor {
    u64 address;
    u16 length;
    u16 checksum;
    u8 status;
    u8 errors;
    u16 special;
};
static_assert(sizeof(receive_descriptor) == 16);

namespace receive_status {
inline constexpr u8 done = 1u << 0, end = 1u << 1, ignore_checksums = 1u << 2,
                    transport_checked = 1u << 5;
}
namespace receive_error {
inline constexpr u8 transport_checksum = 1u << 5, ip_checksum = 1u << 6;
// What makes the frame worthless: CRC, symbol, sequence, carrier and data errors.
inline constexpr u8 frame = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 4 | 1u << 7;
}

// Extended transmit descriptors: data and context.
struct transmit_descriptor {
    u64 address;   // context: where the checksums are
    u32 command;   // length and kind
    u32 options;   // data: status in the low byte
};
static_assert(sizeof(transmit_descriptor) == 16);

namespace transmit_command {
inline constexpr u32 data = 1u << 20, end = 1u << 24, tcp = 1u << 24, insert_crc = 1u << 25,
                     ipv4 = 1u << 25, segment = 1u << 26, report = 1u << 27, extended = 1u << 29;
}
namespace transmit_option {
inline constexpr u32 done = 1u << 0, ip_checksum = 1u << 8, transport_checksum = 1u << 9;
}

}  // namespace kiln::e1000

// The registers of Amazon's Elastic Network Adapter, as far as the driver uses them.
//
// Facts from the register definitions that Amazon publishes with its drivers (ena_regs_defs.h in
// github.com/amzn/amzn-drivers, the same in FreeBSD's sys/contrib/ena-com), and from what these
// drivers do with them. All is little-endian; each register has 32 bits.
#pragma once

#include "lib/types.hh"

namespace kiln::ena {

namespace reg {
inline constexpr u32 version = 0x00, controller_version = 0x04, capabilities = 0x08,
                     commands_low = 0x10, commands_shape = 0x18, answers_low = 0x20,
                     answers_shape = 0x28, commands_doorbell = 0x2c, events_shape = 0x34,
                     events_low = 0x38, events_doorbell = 0x40, interrupt_mask = 0x4c,
                     control = 0x54, status = 0x58, read_request = 0x5c, read_answer_low = 0x60,
                     smallest_window = 0x68;
// The upper half of an address follows its lower one.
inline constexpr u32 high = 4;
// What a device that is gone reads as.
inline constexpr u32 gone = 0xffff'ffff;
}  // namespace reg

// A value of 31 asks for 3.1 seconds.
inline constexpr u32 timeout_unit_ms = 100;

struct capabilities {
    u32 raw;
    u32 reset_timeout() const { return (raw >> 1) & 0x1f; }
    u32 address_bits() const { return (raw >> 8) & 0xff; }
    u32 command_timeout() const { return (raw >> 16) & 0xf; }
};

namespace control {
inline constexpr u32 reset = 1u << 0, extended_reason_shift = 24, reason_shift = 28;
}
namespace status {
inline constexpr u32 ready = 1u << 0, in_reset = 1u << 3, fatal = 1u << 5;
}

// Why the driver resets the device. The upper bits are for devices that know extended reasons.
enum class reset_reason : u8 {
    normal = 0,
    no_keep_alive = 1,
    no_command_answer = 2,
    nothing_sent = 3,
    bad_received_id = 4,
    start_failed = 7,
    generic = 13,
};

// Depth in entries, then the size of one.
constexpr u32 queue_shape(u32 entries, u32 entry_bytes) {
    return entries | entry_bytes << 16;
}

// A register read by writing: which one and a number, by which the answer in memory is known.
constexpr u32 read_request(u32 where, u16 number) {
    return where << 16 | number;
}
struct read_answer {
    u16 number;
    u16 where;
    u32 value;
};
static_assert(sizeof(read_answer) == 8);

// The register of a pair's interrupt: delays in units that the device states.
namespace interrupt {
inline constexpr u32 delay_mask = 0x7fff, sent_delay_shift = 15, unmask = 1u << 30,
                     keep_delays = 1u << 31;
}

}  // namespace kiln::ena

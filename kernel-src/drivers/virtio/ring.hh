// Virtqueues in memory, split and packed (VIRTIO 1.2, 2.7 and 2.8), and the numbers of the standard.
#pragma once

#include "lib/types.hh"

namespace kiln::virtio {

struct descriptor {
    u64 address;
    u32 length;
    u16 flags;
    u16 next;
};
static_assert(sizeof(descriptor) == 16);

namespace descriptor_flag {
inline constexpr u16 next = 1, device_writes = 2, indirect = 4;
}

struct available_ring {
    u16 flags;
    u16 index;
    u16 ring[];  // `size` entries, then used_event
};

struct used_element {
    u32 id;
    u32 length;
};

struct used_ring {
    u16 flags;
    u16 index;
    used_element ring[];  // `size` entries, then the u16 available_event
};

inline constexpr u16 available_no_interrupt = 1;
inline constexpr u16 used_no_notify = 1;

struct packed_descriptor {
    u64 address;
    u32 length;
    u16 number;
    u16 flags;
};
static_assert(sizeof(packed_descriptor) == 16);

namespace packed_flag {
inline constexpr u16 available = 1u << 7, used = 1u << 15;
}

// What one side wants to be told of.
struct packed_events {
    u16 place;
    u16 flags;
};
namespace packed_event {
inline constexpr u16 always = 0, never = 1, at_place = 2;  // flags
inline constexpr u16 odd_round = 1u << 15, index_mask = 0x7fff;  // place
}

namespace feature {
inline constexpr u64 indirect = u64{1} << 28, event_index = u64{1} << 29,
                     version_1 = u64{1} << 32, access_platform = u64{1} << 33,
                     packed_ring = u64{1} << 34;
}

namespace status {
inline constexpr u8 acknowledge = 1, driver = 2, driver_ok = 4, features_ok = 8, needs_reset = 64,
                    failed = 128;
}

// Device types (VIRTIO 1.2, chapter 5).
namespace device_type {
inline constexpr u16 net = 1, block = 2, console = 3, entropy = 4, scsi = 8;
}

}  // namespace kiln::virtio

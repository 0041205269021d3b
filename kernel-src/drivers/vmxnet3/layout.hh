// vmxnet3, VMware's paravirtual network card, as far as the driver uses it: registers, commands,
// descriptors and the memory that the device reads.
//
// Facts from the interface definitions that VMware published with its Linux driver (vmxnet3_defs.h,
// upt1_defs.h), which QEMU's hw/net/vmxnet3.h repeats. All is little-endian.
#pragma once

#include <cstddef>

#include "lib/types.hh"

namespace kiln::vmxnet3 {

// BAR 0; each register is 8 bytes from the next of its kind.
namespace queue_reg {
inline constexpr u32 interrupt_mask = 0x000, transmit_place = 0x600, receive_place = 0x800,
                     body_place = 0xa00, step = 8, window_size = 4096;
}
// BAR 1.
namespace device_reg {
inline constexpr u32 revision = 0x00, upt_revision = 0x08, shared_low = 0x10, shared_high = 0x18,
                     command = 0x20, mac_low = 0x28, mac_high = 0x30, interrupt_cause = 0x38,
                     event_cause = 0x40, window_size = 4096;
}

enum class command : u32 {
    activate = 0xcafe'0000,
    quiesce = 0xcafe'0001,
    reset = 0xcafe'0002,
    update_receive_mode = 0xcafe'0003,
    update_vlan_filter = 0xcafe'0005,
    queue_status = 0xf00d'0000,
    link = 0xf00d'0002,
    mac_low = 0xf00d'0003,
    mac_high = 0xf00d'0004,
    interrupt_configuration = 0xf00d'0008,
};

namespace event {
inline constexpr u32 receive_error = 1u << 0, transmit_error = 1u << 1, link = 1u << 2;
}
namespace offload_feature {
inline constexpr u64 receive_checksum = 1, spread = 2;
}
namespace receive_mode {
inline constexpr u32 unicast = 1, multicast = 2, broadcast = 4, all_multicast = 8;
}

inline constexpr u32 shared_magic = 0xbabe'fee1;
inline constexpr u32 most_queues = 8;
inline constexpr u32 most_interrupts = 25;
inline constexpr u32 ring_alignment = 512;
// Of one frame: without and with segmentation.
inline constexpr u32 most_descriptors = 16, most_descriptors_segmented = 24;
inline constexpr u32 farthest_checksum = 1024;

// Descriptors, as four words. The generation bit says whose it is; it flips with each round.
struct descriptor {
    u64 address;
    u32 words[2];
};
struct completion {
    u32 words[4];
};
static_assert(sizeof(descriptor) == 16 && sizeof(completion) == 16);

namespace transmit_word {  // words[0], then words[1]
inline constexpr u32 length_mask = 0x3fff, generation = 1u << 14, segment_shift = 18;
inline constexpr u32 checksum = 2u << 10, segment = 3u << 10, end = 1u << 12, report = 1u << 13;
}
namespace receive_word {  // words[0]
inline constexpr u32 body = 1u << 14, generation = 1u << 31;
}
namespace completed {
// All: words[3]. The index: words[0].
inline constexpr u32 generation = 1u << 31, index_mask = 0xfff;
// Received: words[0], [2] and [3].
inline constexpr u32 end = 1u << 14, start = 1u << 15, ring_shift = 16, ring_mask = 0x3ff,
                     no_checksum = 1u << 30;
inline constexpr u32 length_mask = 0x3fff, error = 1u << 14;
inline constexpr u32 transport_good = 1u << 16, udp = 1u << 17, tcp = 1u << 18, fragment = 1u << 22;
}

struct variable_part {
    u32 version;
    u32 length;
    u64 address;
};

struct shared_area {
    u32 magic;
    u32 padding;
    // What the driver is.
    u32 driver_version;
    u32 guest;
    u32 revisions;
    u32 upt_revisions;
    u64 features;
    u64 driver_data;
    u64 queues;  // descriptions: those that send, then those that receive
    u32 driver_data_length;
    u32 queues_length;
    u32 mtu;
    u16 most_receive_pieces;
    u8 transmit_queues;
    u8 receive_queues;
    u32 reserved_1[4];
    // Interrupts.
    u8 auto_mask;
    u8 interrupts;
    u8 event_interrupt;
    u8 moderation[most_interrupts];
    u32 interrupt_control;
    u32 reserved_2[2];
    // What is received.
    u32 receive_mode;
    u16 multicast_length;
    u16 padding_2;
    u64 multicast_table;
    u32 vlan_filter[128];
    variable_part spread;
    variable_part power_management;
    variable_part plugin;
    // Written by the device.
    u32 events;
    u32 reserved_3[5];
};
static_assert(sizeof(shared_area) == 720 && offsetof(shared_area, events) == 696);
static_assert(offsetof(shared_area, auto_mask) == 80);

struct transmit_queue {
    u32 deferred;
    u32 threshold;
    u64 reserved_1;
    u64 ring;
    u64 data_ring;
    u64 completion_ring;
    u64 driver_data;
    u64 reserved_2;
    u32 ring_size;
    u32 data_ring_size;
    u32 completion_ring_size;
    u32 driver_data_length;
    u8 interrupt;
    u8 padding_1[7];
    u8 stopped;
    u8 padding_2[3];
    u32 error;
    u64 statistics[10];
    u8 padding_3[88];
};
static_assert(sizeof(transmit_queue) == 256 && offsetof(transmit_queue, stopped) == 80);

struct receive_queue {
    u8 wants_place;  // the device asks to be told how far buffers are given
    u8 padding_1[7];
    u64 reserved_1;
    u64 rings[2];
    u64 completion_ring;
    u64 driver_data;
    u64 reserved_2;
    u32 ring_sizes[2];
    u32 completion_ring_size;
    u32 driver_data_length;
    u8 interrupt;
    u8 padding_2[7];
    u8 stopped;
    u8 padding_3[3];
    u32 error;
    u64 statistics[10];
    u8 padding_4[88];
};
static_assert(sizeof(receive_queue) == 256 && offsetof(receive_queue, stopped) == 80);

// How flows are spread over receive queues.
struct spread_area {
    u16 hashes;
    u16 function;
    u16 key_size;
    u16 table_size;
    u8 key[40];
    u8 table[128];
};
static_assert(sizeof(spread_area) == 176);
namespace spread {
inline constexpr u16 all_hashes = 15, toeplitz = 1, table_size = 32;
}

}  // namespace kiln::vmxnet3

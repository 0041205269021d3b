// VMware's paravirtual SCSI adapter as it is in registers and memory. From the definitions that VMware
// published with its drivers and that QEMU's model of the device follows (pvscsi of QEMU 7.2).
#pragma once

#include "lib/types.hh"

namespace kiln::pvscsi {

namespace reg {
inline constexpr u32 command = 0x0, command_data = 0x4, interrupt_status = 0x100c,
                     interrupt_mask = 0x2010, kick_other = 0x3014, kick_transfer = 0x4018;
inline constexpr usize window_size = 0x8000;
}  // namespace reg

enum class command : u32 { reset_adapter = 1, set_up_rings = 3 };

// Of the ring of completions; the other two bits are of messages, which are not used.
inline constexpr u32 interrupt_completions = 3;

inline constexpr u32 most_ring_pages = 32;

// The data of set_up_rings, by pages.
struct ring_setup {
    u32 request_pages;
    u32 completion_pages;
    u64 state;
    u64 requests[most_ring_pages];
    u64 completions[most_ring_pages];
};
static_assert(sizeof(ring_setup) == 528);

// Free-running indices: the driver writes those of requests produced and completions consumed.
struct ring_state {
    u32 requests_produced;
    u32 requests_consumed;
    u32 requests_log2;
    u32 completions_produced;
    u32 completions_consumed;
    u32 completions_log2;
};

namespace request_flag {
inline constexpr u32 list = 1, no_data = 1u << 2, to_host = 1u << 3, to_device = 1u << 4;
}

struct [[gnu::packed]] request {
    u64 context;
    u64 data;
    u64 data_length;
    u64 sense;
    u32 sense_length;
    u32 flags;
    u8 command[16];
    u8 command_length;
    u8 unit[8];
    u8 tag;
    u8 bus;
    u8 target;
    u8 cpu;
    u8 unused[59];
};
static_assert(sizeof(request) == 128);

struct list_element {
    u64 address;
    u32 length;
    u32 flags;
};
static_assert(sizeof(list_element) == 16);

struct completion {
    u64 context;
    u64 data_length;  // moved
    u32 sense_length;
    u16 host_status;
    u16 scsi_status;
    u32 unused[2];
};
static_assert(sizeof(completion) == 32);

namespace host_status {
inline constexpr u16 good = 0x00, linked = 0x0a, linked_with_flag = 0x0b, underrun = 0x0c,
                     data_run = 0x12, sent_reset = 0x22, received_reset = 0x23, bus_reset = 0x25,
                     aborted = 0x26, by_software = 0x27;
}

inline constexpr u8 simple_queue_tag = 0x20;

}  // namespace kiln::pvscsi

// An LSI Fusion-MPT controller as it is in registers and messages. From the definitions that LSI
// published with its drivers (Fusion-MPT MPI 1.5) and that the models of QEMU 7.2 (mptsas1068) and
// VirtualBox follow.
#pragma once

#include "lib/types.hh"

namespace kiln::mptsas {

namespace reg {
inline constexpr usize doorbell = 0x00, write_sequence = 0x04, diagnostic = 0x08,
                       interrupt_status = 0x30, interrupt_mask = 0x34, requests = 0x40,
                       replies = 0x44;
inline constexpr usize window_size = 0x80;
}  // namespace reg

// The doorbell as it is read: the state, whether a handshake is under way, 16 bits of a reply.
namespace doorbell {
inline constexpr u32 state_mask = 0xf000'0000, active = 1u << 27;
inline constexpr u32 ready = 0x1000'0000, operational = 0x2000'0000, fault = 0x4000'0000;
// As it is written.
inline constexpr u32 reset_message_unit = 0x40u << 24, handshake = 0x42u << 24;
inline constexpr u32 words_shift = 16;
}  // namespace doorbell

// interrupt_status and interrupt_mask; the last one is status only: it has not taken what was written.
inline constexpr u32 interrupt_doorbell = 1u << 0, interrupt_reply = 1u << 3,
                     doorbell_is_full = 1u << 31;

// Written one after the other to write_sequence they allow writes to diagnostic.
inline constexpr u32 diagnostic_keys[] = {0xff, 0x4, 0xb, 0x2, 0x7, 0xd};
inline constexpr u32 diagnostic_reset = 1u << 2;

enum class function : u8 { scsi_io = 0x00, init = 0x02, facts = 0x03, port_enable = 0x06,
                           event = 0x07 };
inline constexpr u8 host_driver = 4;

struct init_request {
    u8 who;
    u8 unused_1;
    u8 chain_offset;
    u8 function;
    u8 flags;
    u8 most_devices;
    u8 most_buses;
    u8 message_flags;
    u32 context;
    u16 reply_frame_size;
    u16 unused_2;
    u32 frames_high;  // the upper half of the addresses of requests and replies
    u32 sense_high;
};
static_assert(sizeof(init_request) == 24);

// Facts and the enabling of a port are asked by their heads alone.
struct plain_request {
    u16 unused_1;
    u8 chain_offset;
    u8 function;
    u16 unused_2;
    u8 port;
    u8 message_flags;
    u32 context;
};
static_assert(sizeof(plain_request) == 12);

struct reply_head {
    u16 unused_1;
    u8 words;  // of the whole reply
    u8 function;
    u16 unused_2;
    u8 unused_3;
    u8 message_flags;
    u32 context;
    u16 unused_4;
    u16 status;
    u32 log_information;
};
static_assert(sizeof(reply_head) == 20);

struct facts_reply {
    reply_head head;
    u8 most_chains;
    u8 who;
    u8 block_size;
    u8 flags;
    u16 reply_queue_depth;
    u16 request_frame_words;
    u16 unused_1;
    u16 product;
    u32 frames_high;
    u16 credits;
    u8 ports;
    u8 event_state;
    u32 sense_high;
    u16 reply_frame_size;
    u8 most_devices;  // 0: 256
    u8 most_buses;
};
static_assert(sizeof(facts_reply) == 48);
inline constexpr u8 facts_wants_firmware = 1;

struct scsi_request {
    u8 target;
    u8 bus;
    u8 chain_offset;  // in words from the start
    u8 function;
    u8 command_size;
    u8 sense_size;
    u8 unused;
    u8 message_flags;
    u32 context;
    u8 unit[8];
    u32 control;
    u8 command[16];
    u32 data_length;
    u32 sense_low;
};
static_assert(sizeof(scsi_request) == 48);
inline constexpr u32 control_write = 1u << 24, control_read = 2u << 24;

struct [[gnu::packed]] list_element {
    u32 flags_and_length;
    u64 address;
};
static_assert(sizeof(list_element) == 12);
namespace list_flag {
inline constexpr u32 last = 1u << 31, end_of_buffer = 1u << 30, simple = 1u << 28, chain = 3u << 28,
                     to_device = 1u << 26, long_address = 1u << 25, end_of_list = 1u << 24;
inline constexpr u32 length_mask = 0xff'ffff;
}  // namespace list_flag

// After the head.
struct scsi_reply {
    u8 target;
    u8 bus;
    u8 words;
    u8 function;
    u8 command_size;
    u8 sense_size;
    u8 unused;
    u8 message_flags;
    u32 context;
    u8 scsi_status;
    u8 scsi_state;
    u16 status;
    u32 log_information;
    u32 moved;
    u32 sense_count;
    u32 response;
};
static_assert(sizeof(scsi_reply) == 32);
namespace scsi_state {
inline constexpr u8 has_sense = 1, no_status = 4, terminated = 8;
}

inline constexpr u16 status_mask = 0x7fff;
namespace status {
inline constexpr u16 good = 0x00, busy = 0x02, no_resources = 0x06, recovered = 0x40,
                     overrun = 0x44, underrun = 0x45, task_ended = 0x48, wrong_residual = 0x49,
                     management_failed = 0x4a, ended_by_controller = 0x4b, ended_outside = 0x4c;
}  // namespace status

// What the queue of replies gives: nothing, a context, or with the top bit half of an address.
inline constexpr u32 no_reply = ~u32{0}, is_address = 1u << 31;

}  // namespace kiln::mptsas

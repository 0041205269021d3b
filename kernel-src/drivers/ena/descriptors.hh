// Descriptors and completions of the Elastic Network Adapter's queues of frames.
//
// Facts from Amazon's published definitions (ena_eth_io_defs.h in github.com/amzn/amzn-drivers) and
// from what its drivers do with them.
#pragma once

#include "lib/types.hh"

namespace kiln::ena {

struct transmit_descriptor {
    u32 words[4];
};
static_assert(sizeof(transmit_descriptor) == 16);

// Every descriptor: words[0].
namespace descriptor {
inline constexpr u32 length_mask = 0xffff, is_metadata = 1u << 23, phase = 1u << 24,
                     first = 1u << 26, last = 1u << 27, report = 1u << 28;
}
// The first one of data has the frame's number in two parts, and what is asked of the device.
namespace transmit_word {
inline constexpr u32 id_high_shift = 16, id_low_bits = 10;  // words[0]; the rest is in words[1]
inline constexpr u32 ipv4 = 8, ipv6 = 11, dont_fragment = 1u << 4, segment = 1u << 7,
                     tcp = 12u << 8, udp = 13u << 8, ip_sum = 1u << 13, transport_sum = 1u << 14,
                     has_pseudo_sum = 1u << 17, id_low_shift = 22;  // words[1]
inline constexpr u32 header_shift = 24, longest_header = 255;       // words[3]
}  // namespace transmit_word
// Metadata goes in front of it: where the headers are, and the size of a segment in two parts.
namespace metadata_word {
inline constexpr u32 valid = 1u << 14, segment_high_shift = 16, extended = 1u << 20,
                     stored = 1u << 21;  // words[0]
inline constexpr u32 ip_start_shift = 8, tcp_words_shift = 16, segment_low_shift = 22,
                     segment_low_bits = 10;  // words[2], after the IP header's size
}  // namespace metadata_word

// One word of 64 bits, so that it is read at once.
namespace sent_word {
inline constexpr u64 id_mask = 0xffff, phase = u64{1} << 24, zeros = u64{3} << 30;
}

struct receive_descriptor {
    static constexpr u8 phase = 1u << 0, whole = 1u << 2 | 1u << 3, report = 1u << 4;
    u16 length;
    u8 reserved_1;
    u8 flags;
    u16 id;
    u16 reserved_2;
    u32 address_low;
    u16 address_high;
    u16 reserved_3;
};
static_assert(sizeof(receive_descriptor) == 16);

struct receive_completion {
    u32 status;
    u32 length_and_id;
    u32 hash;
    u32 place;  // in the third byte, where in the buffer the frame begins
};
static_assert(sizeof(receive_completion) == 16);

namespace received_status {
inline constexpr u32 ip_mask = 0x1f, ipv4 = 8, transport_mask = 0x1f00, tcp = 12u << 8,
                     udp = 13u << 8, bad_ip_sum = 1u << 13, bad_transport_sum = 1u << 14,
                     fragment = 1u << 15, transport_checked = 1u << 16, phase = 1u << 24,
                     first = 1u << 26, last = 1u << 27, zeros = 1u << 7 | 1u << 17;
}

}  // namespace kiln::ena

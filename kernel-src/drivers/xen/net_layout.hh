// What a virtual network interface and its driver say to each other in their rings (Xen public
// io/netif.h).
#pragma once

#include "drivers/xen/grant_table.hh"

namespace kiln::xen {

namespace net_flag {
// Of a request to send.
inline constexpr u16 send_checksum_blank = 1, send_data_validated = 2;
// Of a frame received.
inline constexpr u16 data_validated = 1, checksum_blank = 2;
// Of both: the frame goes on in the next slot; extra information lies between.
inline constexpr u16 more_data = 4, extra_info = 8;
}  // namespace net_flag

inline constexpr usize longest_sent_frame = 0xffff;

struct send_request {
    grant_reference page;
    u16 offset;
    u16 flags;
    u16 id;
    u16 size;  // of the whole frame in its first request, else of this part
};
static_assert(sizeof(send_request) == 12);

struct send_response {
    u16 id;
    i16 status;
};
static_assert(sizeof(send_response) == 4);

namespace send_status {
// Of a slot that held extra information; its id means nothing.
inline constexpr i16 of_extra_info = 1;
}

struct receive_request {
    u16 id;
    u16 reserved;
    grant_reference page;
};

struct receive_response {
    u16 id;
    u16 offset;  // in the page
    u16 flags;
    i16 status;  // bytes, or an error below 0
};
static_assert(sizeof(receive_request) == 8 && sizeof(receive_response) == 8);

// In the place of a request to send or of a frame received.
struct extra_info {
    u8 type;
    u8 flags;
    u16 segment_size;
    u8 segmentation;
    u8 reserved;
    u16 features;
};
static_assert(sizeof(extra_info) == sizeof(receive_response));

namespace extra {
inline constexpr u8 segmentation = 1;  // a type
inline constexpr u8 highest_type = 4;
inline constexpr u8 more = 1;  // a flag: another one follows
inline constexpr u8 tcp4 = 1, tcp6 = 2;
}  // namespace extra

}  // namespace kiln::xen

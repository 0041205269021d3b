// What the driver makes of what the device offers: how many pairs of queues, how deep, and where
// their descriptors lie.
#pragma once

#include "drivers/ena/features.hh"

namespace kiln::ena {

// How frames are written into the device's memory: lines of 128 bytes, of which the first has
// descriptors and then headers, and the others descriptors.
struct push_plan {
    static constexpr u32 line_bytes = 128, descriptors_a_line = 8;
    bool used = false;
    u32 before_header = 0;  // descriptors
    u32 burst = 0;          // lines between two doorbells; 0: as many as there are
};

struct plan {
    u32 pairs = 0;
    u32 transmit_depth = 0;
    u32 receive_depth = 0;
    bool interrupts = false;
    push_plan push;
    u32 header_bytes = 0;      // that the device takes beside the pieces of a frame
    u32 most_descriptors = 0;  // of a frame that is sent, metadata included
    u32 most_received = 0;     // buffers of a frame
    bool always_metadata = false;
    bool sums_ipv6 = false;
    bool checks_zeros = false;
    u32 delay_sent = 0;  // of interrupts, in the device's units
    bool has_delays = false;
};

inline constexpr u32 most_pairs = 8;
inline constexpr u32 usual_depth = 256;

// err::opnotsupp, with a line in the log, for a device that is too small.
result<plan> choose_plan(const offer& from, const machine& in);
// Whether a device that was reset can still do what was chosen.
bool still_fits(const offer& now_offered, const plan& chosen);
// What to tell the device of lines.
push_feature choice_of(const offer& from, const push_plan& chosen);

}  // namespace kiln::ena

// What the device is told of a frame's headers, so that it can make checksums and segments.
#pragma once

#include "net/packet_buffer.hh"

namespace kiln::ena {

struct offload_words {
    u32 asked = 0;        // words[1] of the first descriptor of data
    u32 metadata[2]{};    // words[0] and words[2] of the metadata
    bool any = false;
};

// False when the headers are not in one piece, or there is no memory; the frame cannot be sent
// then. Sums over IPv6 that the device does not make are made here.
bool describe_offload(net::packet_buffer& frame, bool device_sums_ipv6, offload_words& to);

}  // namespace kiln::ena

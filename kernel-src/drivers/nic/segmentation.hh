// What cards that cut a TCP stream into segments want to find in the headers that they repeat.
#pragma once

#include "net/packet_buffer.hh"

namespace kiln::nic {

// The stack leaves the pseudo-header's sum with the length of the whole, as virtio has it. These cards
// add each segment's length themselves, fill in IPv4's size, and sum its header from a field of 0.
// False when the headers are not in one piece; the frame cannot be sent then.
bool prepare_segmentation(net::packet_buffer& frame);

}  // namespace kiln::nic

// Segments that came ahead of their turn, in order of sequence, without overlaps; and the SACK blocks
// that tell the peer of them, the most recent first (RFC 2018, 4).
// Not locked: the socket's lock guards it.
#pragma once

#include "net/tcp.hh"

namespace kiln::net {

class tcp_reorder_queue : noncopyable {
public:
    ~tcp_reorder_queue() { clear(); }

    bool empty() const { return _first == nullptr; }
    // Memory that the packets pin.
    usize true_size() const { return _true_size; }
    // Takes a segment's payload; what is there already is cut off it.
    void insert(packet_ptr packet, u32 sequence);
    // The first packet that starts at or before `expected`, with what lies before it cut off.
    packet_ptr take(u32 expected);
    void clear();
    // Fills in SACK blocks; returns how many.
    usize blocks(std::span<seq_range> to) const;

private:
    static u32 end_of(const packet_buffer& packet);

    packet_buffer* _first = nullptr;
    usize _true_size = 0;
    u32 _latest = 0;  // sequence of the segment that came last
};

}  // namespace kiln::net

// What the peer has told by SACK that it has (RFC 2018): disjoint ranges above the cumulative
// acknowledgment, in order. When there is no place for one more, the highest is forgotten, which
// only costs a retransmission.
// Not locked: the socket's lock guards it.
#pragma once

#include "net/tcp.hh"

namespace kiln::net {

class tcp_scoreboard {
public:
    static constexpr usize capacity = 32;

    // Adds what lies in (acknowledged, sent]; returns how many bytes are new.
    u32 add(seq_range block, u32 acknowledged, u32 sent);
    // Forgets what is cumulatively acknowledged.
    void advance(u32 acknowledged);
    void clear() { _count = 0; }

    bool empty() const { return _count == 0; }
    // SACKed bytes in all, and within [from, to).
    u32 bytes() const;
    u32 bytes_within(u32 from, u32 to) const;
    u32 first_start() const { return _ranges[0].start; }
    u32 highest_end() const { return _ranges[_count - 1].end; }
    // The first stretch of [from, limit) that is not SACKed; empty when there is none.
    seq_range next_hole(u32 from, u32 limit) const;
    // Below it more than `bytes` SACKed bytes lie above: what is missing there counts as lost
    // (RFC 6675, IsLost). `lowest` when there is no such place.
    u32 loss_edge(u32 lowest, u32 bytes) const;

private:
    void insert(usize at, seq_range fresh);
    void erase(usize from, usize to);

    seq_range _ranges[capacity];
    usize _count = 0;
};

}  // namespace kiln::net

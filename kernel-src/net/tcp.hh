// TCP: what the parts share. Sequence numbers wrap, so they are compared by their distance
// (RFC 9293, 3.4).
#pragma once

#include "net/ip.hh"

namespace kiln::net {

inline bool seq_before(u32 a, u32 b) { return static_cast<i32>(a - b) < 0; }
inline bool seq_at_or_before(u32 a, u32 b) { return static_cast<i32>(a - b) <= 0; }
inline u32 seq_max(u32 a, u32 b) { return seq_before(a, b) ? b : a; }
inline u32 seq_min(u32 a, u32 b) { return seq_before(a, b) ? a : b; }

struct seq_range {
    u32 start = 0;
    u32 end = 0;
    u32 size() const { return end - start; }
};

// The options of a segment (RFC 9293 3.2, RFC 7323, RFC 2018).
struct tcp_options {
    static constexpr usize max_sacks = 4;

    bool has_mss = false;
    bool has_scale = false;
    bool sack_permitted = false;
    bool has_timestamp = false;
    u8 scale = 0;
    u8 sack_count = 0;
    u16 mss = 0;
    u32 timestamp = 0;
    u32 echo = 0;
    seq_range sacks[max_sacks];
};

// Unknown options are skipped; a malformed one ends the list.
tcp_options parse_tcp_options(std::span<const std::byte> bytes);
// Writes what is set, padded to words; `to` holds 40 bytes. Returns the length.
usize write_tcp_options(const tcp_options& options, std::byte* to);

// A segment that has arrived.
struct tcp_segment {
    packet_ptr packet;  // payload only
    u16 source_port = 0;
    u16 destination_port = 0;
    u32 sequence = 0;
    u32 acknowledgment = 0;
    u32 length = 0;     // of the payload
    u8 flags = 0;
    u16 window = 0;
    u16 urgent = 0;
    u16 header_size = 0;
    tcp_options options;

    bool has(u8 flag) const { return (flags & flag) != 0; }
    // Sequence space it takes.
    u32 span() const {
        return length + (has(tcp_header::syn) ? 1 : 0) + (has(tcp_header::fin) ? 1 : 0);
    }
    u32 end() const { return sequence + span(); }
};

// Checks the sum, takes the header off and fills in the rest. False: to be dropped.
bool parse_segment(packet_ptr packet, tcp_segment& to);

void tcp_input(network_stack& stack, packet_ptr packet);
// Answers a segment that belongs to no connection (RFC 9293, 3.10.7.1).
void send_reset_for(network_stack& stack, const tcp_segment& segment);
// A segment without payload outside any connection's output path.
struct bare_segment {
    endpoint local;
    endpoint remote;
    u32 sequence = 0;
    u32 acknowledgment = 0;
    u8 flags = 0;
    u16 window = 0;
    u8 service = 0;
    u8 ttl = 64;
    tcp_options options;
};
void send_bare(network_stack& stack, const bare_segment& segment);

// Milliseconds, the unit of our timestamps.
inline u32 tcp_clock(u64 time) { return static_cast<u32>(time / ns_per_ms); }

}  // namespace kiln::net

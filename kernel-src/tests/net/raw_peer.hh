// The other end of a TCP connection, made by hand: the test writes each segment itself and sees each
// that comes back. For the edge cases that a well-behaved stack never produces.
#pragma once

#include "net/tcp.hh"
#include "tests/net/link.hh"

namespace kiln::net::test {

struct raw_segment {
    u32 sequence = 0;
    u32 acknowledgment = 0;
    u8 flags = 0;
    u16 window = 65535;
    tcp_options options;
    std::string data;
    u16 source_port = 0;
    u16 destination_port = 0;

    bool has(u8 flag) const { return (flags & flag) == flag; }
};

class raw_peer {
public:
    // Speaks to `to` as 10.0.0.9 from `port`.
    raw_peer(machine& to, u16 from, u16 target) : _to(to), port(from), their_port(target) {}

    void send(const raw_segment& segment);
    // What the stack has sent since the last call.
    std::vector<raw_segment> take();
    // The only segment it has sent.
    raw_segment only();
    // Time goes on, with the stack's timers.
    void run(u64 duration);
    // Opens to a listener: afterwards `next` and `expected` are set.
    void open(const tcp_options& options = {}, u16 window = 65535);
    // An ordinary segment at `next`, acknowledging `expected`; moves `next`.
    void say(std::string_view data, u8 flags = tcp_header::ack);
    void acknowledge(u32 upto) { expected = upto; send(segment(tcp_header::ack)); }
    raw_segment segment(u8 flags) const {
        return {.sequence = next, .acknowledgment = expected, .flags = flags, .window = window};
    }

    u32 next = 1000;      // our sequence number
    u32 expected = 0;     // theirs
    u16 window = 65535;

private:
    machine& _to;

public:
    u16 port;
    u16 their_port;
    bool timestamps = false;
    u32 timestamp = 5000;
    u32 echo = 0;
};

}  // namespace kiln::net::test

// Fragments of datagrams, until all have come (RFC 791 3.2, RFC 8200 4.5). Overlapping fragments end
// the datagram (RFC 5722). Bounded in datagrams and bytes; the oldest goes first.
// Lock: its spin lock, innermost. Context: threads.
#pragma once

#include "core/spinlock.hh"
#include "net/address.hh"
#include "net/packet_buffer.hh"
#include "net/timer_queue.hh"

namespace kiln::net {

struct fragment_key {
    ip_address source;
    ip_address destination;
    u32 id = 0;
    u8 protocol = 0;
    bool operator==(const fragment_key&) const = default;
};

class reassembler : noncopyable {
public:
    explicit reassembler(timer_queue& timers) : _timers(timers) {}
    ~reassembler();

    // Takes a fragment whose payload begins `header_size` bytes into it and lies at `offset` of the
    // datagram. Returns the whole datagram (with the first fragment's headers) when it is complete.
    packet_ptr add(packet_ptr packet, const fragment_key& key, usize header_size, usize offset,
                   bool more);

private:
    // A datagram in the making; its parts are in order of their offsets.
    struct datagram {
        list_node link;
        fragment_key key;
        u64 deadline = 0;
        packet_buffer* parts = nullptr;
        usize total = 0;  // payload bytes, once the last fragment is here
        usize have = 0;
        std::byte header[packet_buffer::head_room];
        usize header_size = 0;

        ~datagram();
    };

    static void expire(net_timer& expired);
    void on_expire();
    datagram* find_or_insert(const fragment_key& key, unique<datagram>& spare);
    void forget(datagram& gone);
    void make_room();
    static bool insert(datagram& to, packet_ptr& packet, usize offset, usize size);
    static packet_ptr join(datagram& complete);

    timer_queue& _timers;
    spinlock _lock;
    list<datagram, &datagram::link> _datagrams;
    usize _count = 0;
    usize _bytes = 0;
    net_timer _timer{&expire};
};

}  // namespace kiln::net

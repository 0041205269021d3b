// What the adapter sends from: a ring of descriptors in our memory, or lines of them with the
// frames' headers in the device's, and the ring in which it says which frames are sent.
//
// The device names a frame by its number, which must be under way. Not locked.
#pragma once

#include "drivers/ena/descriptors.hh"
#include "drivers/ena/machine.hh"
#include "drivers/ena/memory.hh"
#include "drivers/ena/offloads.hh"
#include "drivers/ena/plan.hh"
#include "drivers/nic/rings.hh"

namespace kiln::ena {

class transmit_ring {
public:
    static constexpr u32 most_entries = 256;
    static constexpr u32 most_descriptors = net::packet_buffer::max_fragments + 2;

    result<void> allocate(machine& in, const plan& by, u64 reach);
    // Where the device has put the queue, after each reset. The lines lie in its memory.
    void open(u32 doorbell, u64 lines);
    u64 ring_place() const { return _ring.place(); }
    u64 completions_place() const { return _completions.place(); }

    nic::placed put(net::packet_buffer& frame);
    bool reap(net::packet_queue& sent);
    bool has_sent() const;
    void tell_device();
    void clear();

    u32 in_flight() const { return _depth - 1 - _free_count; }
    // Frames that were put before `time`, and when the device last sent one.
    u32 older_than(u64 time) const;
    u64 last_sent() const { return _last_sent; }

private:
    struct draft {
        transmit_descriptor descriptors[most_descriptors];
        u32 count;
        u32 header;  // bytes that go into the first line
    };

    usize pieces_of(const net::packet_buffer& frame, usize from) const;
    usize needed_for(const net::packet_buffer& frame) const;
    u32 entries_for(usize descriptors) const;
    bool fits(net::packet_buffer& frame);
    bool describe(const net::packet_buffer& frame, const offload_words& asked, u16 id, draft& to);
    u32 pushed_bytes(const net::packet_buffer& frame) const;
    void place_in_memory(draft& made);
    void place_in_device(draft& made, const net::packet_buffer& frame);
    void push_line(const u64* line);
    u32 round() const {
        return (_tail / _depth) % 2 == 0 ? descriptor::phase : 0;
    }

    machine* _machine = nullptr;
    push_plan _push;
    u32 _depth = 0;
    u32 _limit = 0;  // descriptors of a frame
    u32 _header_bytes = 0;
    bool _always_metadata = false;
    bool _sums_ipv6 = false;
    bool _checks_zeros = false;
    u64 _reach = 0;
    dma_memory _ring, _completions;
    u32 _doorbell = 0;
    u64 _lines = 0;

    net::packet_buffer* _frames[most_entries]{};  // by number
    u32 _entries_of[most_entries]{};              // of the ring, likewise
    u64 _since[most_entries]{};
    u16 _free[most_entries]{};
    u32 _free_count = 0;
    u32 _tail = 0;  // free-running, of entries
    u32 _told = 0;
    u32 _done = 0;  // entries that the device has given back
    u32 _taken = 0;
    u64 _last_sent = 0;
};

}  // namespace kiln::ena

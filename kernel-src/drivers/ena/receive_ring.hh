// What the adapter receives into: a ring of buffers, and the ring in which the device says which it
// has filled.
//
// The device names a buffer by its number, which is taken only while that buffer is outstanding;
// lengths are checked against it. Not locked.
#pragma once

#include "drivers/ena/descriptors.hh"
#include "drivers/ena/memory.hh"
#include "drivers/nic/rings.hh"

namespace kiln::ena {

class receive_ring {
public:
    static constexpr u32 most_entries = 256;

    struct shape {
        u32 depth;  // a power of two
        u32 most_buffers;
        bool checks_zeros;
        u64 reach;  // addresses that the device cannot use begin here
    };

    result<void> allocate(const shape& wanted);
    u64 ring_place() const { return _ring.place(); }
    u64 completions_place() const { return _completions.place(); }

    nic::received take(net::packet_ptr& frame);
    bool has_received() const;
    // Whether all buffers are there; `given` when there are new ones.
    bool refill(bool& given);
    u32 tail() const { return _given; }
    void clear();

private:
    struct part {
        u32 status, length, id, offset;
    };
    bool next(part& done);
    bool give_buffer();
    ref<net::chunk> buffer_of(u32 id);
    nic::received add(const part& done, net::packet_ptr& frame);
    bool is_impossible(const part& done) const;
    bool keep(const part& done, ref<net::chunk> buffer);
    nic::received finish(const part& done, net::packet_ptr& frame);

    shape _shape{};
    dma_memory _ring, _completions;
    net::chunk* _buffers[most_entries]{};  // by number
    u16 _free[most_entries]{};             // numbers
    u32 _free_count = 0;
    u32 _given = 0;  // free-running, and so is the other
    u32 _taken = 0;
    u32 _parts = 0;  // of the frame that is not whole yet
    net::packet_ptr _partial;
    bool _dropping = false;
};

}  // namespace kiln::ena

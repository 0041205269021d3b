// What vmxnet3 receives into: a ring of buffers that begin a frame, one of buffers that go on with it,
// and the ring in which the device says which it has filled.
//
// The device names a buffer by its index, which is taken only when that buffer is outstanding; lengths
// are checked against it. Buffers that the device passed over are given to it again. Not locked.
#pragma once

#include "drivers/nic/rings.hh"
#include "drivers/vmxnet3/layout.hh"

namespace kiln::vmxnet3 {

// A place in a ring of completions, and the generation of those that are new there.
struct cursor {
    u32 at = 0;
    u32 generation = 1;

    void advance(u32 size) {
        if (++at == size) {
            at = 0;
            generation ^= 1;
        }
    }
};

class buffer_ring {
public:
    static constexpr u32 largest = 256;

    void init(descriptor* ring, u32 size, u32 kind);
    // The buffer with this index, which is the driver's from now on; null when it is not outstanding.
    net::chunk* take(u32 index);
    // Gives buffers until one place is empty; false when memory is out.
    bool refill();
    u32 missing() const { return _size - 1 - (_given - _taken); }
    u32 place() const { return _given % _size; }
    void clear();

private:
    descriptor* _ring = nullptr;
    u32 _size = 0;
    u32 _kind = 0;
    u32 _given = 0;  // free-running
    u32 _taken = 0;
    net::chunk* _buffers[largest]{};
};

class receive_rings {
public:
    static constexpr u32 head_entries = 256, body_entries = 32,
                         completions = head_entries + body_entries;
    static constexpr u32 refill_step = 32;
    static constexpr usize total_bytes = completions * (sizeof(descriptor) + sizeof(completion));

    // `memory` is zeroed and aligned to 512 bytes; of queue `number` of `queues`.
    void init(std::byte* memory, u32 number, u32 queues);
    // Where the rings are, for the device.
    void describe(receive_queue& to) const;

    nic::received take(net::packet_ptr& frame);
    bool has_received() const;
    bool refill();
    void clear();
    u32 head_place() const { return _head.place(); }
    u32 body_place() const { return _body.place(); }

private:
    struct part {
        u32 first, length, flags;
    };
    bool next(part& done);
    ref<net::chunk> buffer_of(const part& done);
    nic::received add(const part& done, ref<net::chunk> buffer, net::packet_ptr& frame);
    nic::received finish(const part& done, net::packet_ptr& frame);
    bool begin(ref<net::chunk> buffer, usize length);
    bool extend(ref<net::chunk> buffer, usize length);

    std::byte* _memory = nullptr;
    u32 _number = 0;
    u32 _queues = 1;
    buffer_ring _head, _body;
    completion* _completed = nullptr;
    cursor _next;
    net::packet_ptr _partial;
    bool _dropping = false;  // until the frame ends
};

}  // namespace kiln::vmxnet3

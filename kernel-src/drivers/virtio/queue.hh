// One virtqueue, the driver's side: split (2.7 of VIRTIO 1.2), or packed where both sides can.
//
// Always holds: what the driver must not lose (free list, tokens) is kept beside what the device
// sees, so that whatever the device writes there can only end the queue (broken()), not corrupt the
// kernel. Not locked: the owner's lock guards every call but ring_doorbell.
#pragma once

#include <span>

#include "drivers/dma.hh"
#include "drivers/virtio/packed_ring.hh"
#include "drivers/virtio/ring.hh"
#include "lib/result.hh"

namespace kiln::virtio {

class queue {
public:
    using completion = virtio::completion;
    // The legacy layout begins the used ring on a page of its own.
    enum class form : u8 { split, legacy, packed };

    // Bytes of memory that a ring of `size` (a power of two) needs, with what the driver keeps
    // beside it.
    static usize memory_needed(u16 size, form of);

    // `memory` is zeroed, aligned to 16 bytes (legacy: a page), and outlives the queue.
    void init(u16 size, std::byte* memory, form of, bool event_index);
    bool ready() const { return _size != 0; }
    u16 size() const { return _size; }
    u16 free_descriptors() const { return is_packed() ? _packed.free_descriptors() : _free; }
    // Descriptors of requests that the device has not finished.
    u16 in_flight() const { return static_cast<u16>(_size - free_descriptors()); }

    // When the device is stopped for good or has been reset: the tokens of what it has not finished,
    // one by one, then null; and an empty ring in the same memory.
    void* take_back();
    void restart();

    // What the device is told of: the descriptors, and the areas that the driver and the device
    // write beside them.
    const void* descriptors() const {
        return is_packed() ? _packed.descriptors() : _descriptors;
    }
    const void* driver_area() const { return is_packed() ? _packed.driver_events() : _available; }
    const void* device_area() const { return is_packed() ? _packed.device_events() : _used; }

    // Queues a request; the segments that the device reads come first. `token` (not null) comes
    // back with its completion. err::nospc when there are too few descriptors.
    result<void> add(std::span<const segment> segments, void* token);
    // A number of the next request that is added, which no other request in flight has.
    u16 next_head() const { return is_packed() ? _packed.next_number() : _first_free; }
    // Makes what was added visible to the device; true when the device wants to be notified.
    bool publish();

    // The next finished request; false when there is none (or the queue is broken).
    bool take(completion& next);
    bool has_finished() const;
    // Whether the device has written something impossible. Nothing comes out any more.
    bool broken() const { return is_packed() ? _packed.broken() : _broken; }

    // Asks for an interrupt at the next completion; true when there are some already, so that the
    // caller must look again (the interrupt may never come).
    [[nodiscard]] bool enable_interrupts();
    // Asks for one only when `after` more requests are finished, where the device can do that.
    [[nodiscard]] bool enable_interrupts_after(u16 after);
    void disable_interrupts();

private:
    bool is_packed() const { return _form == form::packed; }
    void init_split(u16 size, std::byte* memory, bool legacy);
    u16& used_event() { return _available->ring[_size]; }
    u16 available_event() const;
    void release_chain(u16 head);

    descriptor* _descriptors = nullptr;
    available_ring* _available = nullptr;
    used_ring* _used = nullptr;
    u16 _size = 0;
    u16 _free = 0;
    u16 _first_free = 0;
    u16 _added = 0;      // next index to fill in the available ring
    u16 _published = 0;  // the index the device has been shown
    u16 _taken = 0;      // next index of the used ring to look at
    form _form = form::split;
    std::byte* _memory = nullptr;
    packed_ring _packed;
    bool _event_index = false;
    bool _interrupts = true;
    bool _broken = false;
    u16* _next = nullptr;      // by descriptor: free list, and the chain of a request
    void** _tokens = nullptr;  // by head descriptor; null: not the head of a request
};

}  // namespace kiln::virtio

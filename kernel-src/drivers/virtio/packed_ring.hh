// One packed virtqueue, the driver's side (VIRTIO 1.2, 2.8): requests and answers share one ring of
// descriptors, each of which says in its flags whose it is.
//
// Always holds: what the driver must not lose (which numbers are free, how many descriptors a request
// has, tokens) is kept beside what the device sees, so that whatever the device writes there can only
// end the queue (broken()), not corrupt the kernel. Not locked. Used through queue alone.
#pragma once

#include <span>

#include "drivers/virtio/ring.hh"
#include "drivers/virtio/segment.hh"
#include "lib/result.hh"

namespace kiln::virtio {

class packed_ring {
public:
    static usize memory_needed(u16 size);
    // `memory` is zeroed and aligned to 16 bytes.
    void init(u16 size, std::byte* memory, bool event_index);

    u16 free_descriptors() const { return _free; }
    void* take_back();

    const void* descriptors() const { return _descriptors; }
    const void* driver_events() const { return _driver_events; }
    const void* device_events() const { return _device_events; }

    result<void> add(std::span<const segment> segments, void* token);
    u16 next_number() const { return _first_free; }
    bool publish();
    bool take(completion& next);
    bool has_finished() const;
    bool broken() const { return _broken; }
    bool enable_interrupts();
    void disable_interrupts();

private:
    // A place in the ring, and whether the round that it is in is an odd one: the first is.
    struct place {
        u16 index = 0;
        bool odd_round = true;
    };
    place after(place from, u16 steps) const;
    // From 0 to below twice the size, so that two rounds can be told apart.
    u32 number_of(place at) const { return at.index + (at.odd_round ? 0u : _size); }
    u32 distance(place from, place to) const;
    u16 ownership(place at) const;
    void write(place at, const segment& part, u16 number, bool more, bool is_head);
    bool device_waits_for(place before) const;
    void tell_events();
    void release(u16 number);

    packed_descriptor* _descriptors = nullptr;
    packed_events* _driver_events = nullptr;
    packed_events* _device_events = nullptr;
    u16 _size = 0;
    u16 _free = 0;
    u16 _first_free = 0;
    place _next;   // to be filled
    place _held;   // the first that the device has not been shown: its flags are written last
    u16 _held_flags = 0;
    place _looked;  // where the next answer comes
    bool _event_index = false;
    bool _interrupts = true;
    bool _broken = false;
    void** _tokens = nullptr;  // by number; null: free
    u16* _counts = nullptr;    // of the request's descriptors, by number
    u16* _next_free = nullptr;  // by number
};

}  // namespace kiln::virtio

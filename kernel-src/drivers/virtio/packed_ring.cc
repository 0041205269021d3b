#include "drivers/virtio/packed_ring.hh"

#include <algorithm>
#include <utility>

#include "drivers/mmio.hh"
#include "lib/assert.hh"

namespace kiln::virtio {
namespace {

constexpr u16 no_number = 0xffff;

usize events_offset(u16 size) {
    return usize{size} * sizeof(packed_descriptor);
}

usize tokens_offset(u16 size) {
    return align_up(events_offset(size) + 2 * sizeof(packed_events), alignof(void*));
}

// The device runs on another CPU of the host.
u16 load_acquire(const u16& from) {
    return __atomic_load_n(&from, __ATOMIC_ACQUIRE);
}

void store_release(u16& to, u16 value) {
    __atomic_store_n(&to, value, __ATOMIC_RELEASE);
}

}  // namespace

usize packed_ring::memory_needed(u16 size) {
    return tokens_offset(size) + usize{size} * (sizeof(void*) + 2 * sizeof(u16));
}

void packed_ring::init(u16 size, std::byte* memory, bool event_index) {
    _descriptors = reinterpret_cast<packed_descriptor*>(memory);
    _driver_events = reinterpret_cast<packed_events*>(memory + events_offset(size));
    _device_events = _driver_events + 1;
    _tokens = reinterpret_cast<void**>(memory + tokens_offset(size));
    _counts = reinterpret_cast<u16*>(_tokens + size);
    _next_free = _counts + size;
    _size = _free = size;
    _first_free = 0;
    _next = _held = _looked = {};
    _event_index = event_index;
    _interrupts = true;
    _broken = false;
    for (u16 i = 0; i < size; ++i) {
        _next_free[i] = static_cast<u16>(i + 1 < size ? i + 1 : no_number);
        _tokens[i] = nullptr;
    }
    tell_events();
}

void* packed_ring::take_back() {
    void** end = _tokens + _size;
    void** found = std::find_if(_tokens, end, [](void* token) { return token != nullptr; });
    return found == end ? nullptr : std::exchange(*found, nullptr);
}

packed_ring::place packed_ring::after(place from, u16 steps) const {
    const u32 sum = u32{from.index} + steps;
    return sum < _size ? place{static_cast<u16>(sum), from.odd_round}
                       : place{static_cast<u16>(sum - _size), !from.odd_round};
}

u32 packed_ring::distance(place from, place to) const {
    return (number_of(to) + 2u * _size - number_of(from)) % (2u * _size);
}

// In an odd round `available` is set and `used` clear, in an even one it is the other way round.
u16 packed_ring::ownership(place at) const {
    return at.odd_round ? packed_flag::available : packed_flag::used;
}

void packed_ring::write(place at, const segment& part, u16 number, bool more, bool is_head) {
    packed_descriptor& to = _descriptors[at.index];
    const u16 flags = static_cast<u16>((more ? descriptor_flag::next : 0) |
                                       (part.device_writes ? descriptor_flag::device_writes : 0) |
                                       ownership(at));
    to.address = part.address;
    to.length = part.length;
    to.number = number;
    if (is_head && distance(_held, at) == 0) {
        _held_flags = flags;
    } else {
        store_release(to.flags, flags);
    }
}

result<void> packed_ring::add(std::span<const segment> segments, void* token) {
    KILN_DEBUG_ASSERT(token != nullptr && !segments.empty());
    if (segments.size() > _free || _broken) {
        return err::nospc;
    }
    const u16 number = _first_free, count = static_cast<u16>(segments.size());
    const place head = _next;
    // The head last: once the device sees it, it may read all of them.
    for (u16 i = count; i-- > 0;) {
        write(after(head, i), segments[i], number, i + 1 < count, i == 0);
    }
    _next = after(head, count);
    _first_free = _next_free[number];
    _free = static_cast<u16>(_free - count);
    _tokens[number] = token;
    _counts[number] = count;
    return {};
}

// Whether what it asked to be told of is among what it has been shown since `before` (2.8.7).
bool packed_ring::device_waits_for(place before) const {
    const u16 mode = load_acquire(_device_events->flags);
    if (mode != packed_event::at_place || !_event_index) {
        return mode != packed_event::never;
    }
    const u16 wanted = load_acquire(_device_events->place);
    const place at{static_cast<u16>(wanted & packed_event::index_mask),
                   (wanted & packed_event::odd_round) != 0};
    return distance(before, at) < distance(before, _next);
}

bool packed_ring::publish() {
    if (distance(_held, _next) == 0) {
        return false;
    }
    const place before = std::exchange(_held, _next);
    store_release(_descriptors[before.index].flags, _held_flags);
    // Out before the device's wish is read, else both sides could miss each other.
    device_fence();
    return device_waits_for(before);
}

bool packed_ring::has_finished() const {
    if (_broken || distance(_looked, _held) == 0) {
        return false;
    }
    const u16 both = packed_flag::available | packed_flag::used;
    const u16 flags = load_acquire(_descriptors[_looked.index].flags) & both;
    return flags == (_looked.odd_round ? both : 0);
}

bool packed_ring::take(completion& next) {
    if (!has_finished()) {
        return false;
    }
    const packed_descriptor& done = _descriptors[_looked.index];
    const u16 number = __atomic_load_n(&done.number, __ATOMIC_RELAXED);
    // It can have finished no more descriptors than it was shown.
    if (number >= _size || _tokens[number] == nullptr ||
        _counts[number] > distance(_looked, _held)) {
        _broken = true;
        return false;
    }
    next = {_tokens[number], __atomic_load_n(&done.length, __ATOMIC_RELAXED)};
    _looked = after(_looked, _counts[number]);
    release(number);
    if (_event_index && _interrupts) {
        // Out before the caller looks for the next one: the device may have decided by the old
        // place not to interrupt for it.
        tell_events();
        device_fence();
    }
    return true;
}

void packed_ring::release(u16 number) {
    _tokens[number] = nullptr;
    _free = static_cast<u16>(_free + _counts[number]);
    _next_free[number] = _first_free;
    _first_free = number;
}

// What the driver wants to be interrupted for.
void packed_ring::tell_events() {
    if (_event_index && _interrupts) {
        const u16 round = _looked.odd_round ? packed_event::odd_round : u16{0};
        store_release(_driver_events->place, static_cast<u16>(_looked.index | round));
    }
    store_release(_driver_events->flags, !_interrupts    ? packed_event::never
                                         : _event_index ? packed_event::at_place
                                                        : packed_event::always);
}

bool packed_ring::enable_interrupts() {
    _interrupts = true;
    tell_events();
    device_fence();
    return has_finished();
}

void packed_ring::disable_interrupts() {
    _interrupts = false;
    tell_events();
}

}  // namespace kiln::virtio

#include "drivers/virtio/queue.hh"

#include <algorithm>
#include <utility>

#include "drivers/mmio.hh"
#include "lib/assert.hh"

namespace kiln::virtio {
namespace {

constexpr u16 no_descriptor = 0xffff;

usize available_size(u16 size) {
    return sizeof(available_ring) + usize{size} * sizeof(u16) + sizeof(u16);
}

usize used_size(u16 size) {
    return sizeof(used_ring) + usize{size} * sizeof(used_element) + sizeof(u16);
}

usize used_offset(u16 size, bool legacy) {
    const usize end = usize{size} * sizeof(descriptor) + available_size(size);
    return align_up(end, legacy ? page_size : alignof(used_element));
}

usize tokens_offset(u16 size, bool legacy) {
    return align_up(used_offset(size, legacy) + used_size(size), alignof(void*));
}

// The device runs on another CPU of the host: its memory is read and written whole, in this order.
u16 load_acquire(const u16& from) {
    return __atomic_load_n(&from, __ATOMIC_ACQUIRE);
}

void store_release(u16& to, u16 value) {
    __atomic_store_n(&to, value, __ATOMIC_RELEASE);
}

// Whether the other side, who waits for index `event` to be passed, sees it passed by the step from
// `before` to `now` (VIRTIO 1.2, 2.7.7.1).
bool passed(u16 event, u16 now, u16 before) {
    return static_cast<u16>(now - event - 1) < static_cast<u16>(now - before);
}

}  // namespace

usize queue::memory_needed(u16 size, form of) {
    return of == form::packed ? packed_ring::memory_needed(size)
                              : tokens_offset(size, of == form::legacy) +
                                    usize{size} * (sizeof(void*) + sizeof(u16));
}

void queue::init(u16 size, std::byte* memory, form of, bool event_index) {
    KILN_ASSERT(size != 0 && size <= largest_queue && (size & (size - 1)) == 0);
    _form = of;
    _memory = memory;
    _size = size;
    _event_index = event_index;
    if (is_packed()) {
        _packed.init(size, memory, event_index);
    } else {
        init_split(size, memory, of == form::legacy);
    }
}

void queue::init_split(u16 size, std::byte* memory, bool legacy) {
    _descriptors = reinterpret_cast<descriptor*>(memory);
    _available = reinterpret_cast<available_ring*>(memory + usize{size} * sizeof(descriptor));
    _used = reinterpret_cast<used_ring*>(memory + used_offset(size, legacy));
    _tokens = reinterpret_cast<void**>(memory + tokens_offset(size, legacy));
    _next = reinterpret_cast<u16*>(_tokens + size);
    _free = size;
    _first_free = 0;
    _added = _published = _taken = 0;
    _interrupts = true;
    _broken = false;
    for (u16 i = 0; i < size; ++i) {
        _next[i] = static_cast<u16>(i + 1 < size ? i + 1 : no_descriptor);
        _tokens[i] = nullptr;
    }
}

void* queue::take_back() {
    if (is_packed()) {
        return _packed.take_back();
    }
    void** end = _tokens + _size;
    void** found = std::find_if(_tokens, end, [](void* token) { return token != nullptr; });
    return found == end ? nullptr : std::exchange(*found, nullptr);
}

void queue::restart() {
    __builtin_memset(_memory, 0, memory_needed(_size, _form));
    init(_size, _memory, _form, _event_index);
}

result<void> queue::add(std::span<const segment> segments, void* token) {
    if (is_packed()) {
        return _packed.add(segments, token);
    }
    KILN_DEBUG_ASSERT(token != nullptr && !segments.empty());
    if (segments.size() > _free || _broken) {
        return err::nospc;
    }
    const u16 head = _first_free;
    u16 last = head;
    for (u16 at = head; const segment& part : segments) {
        const bool more = &part != &segments.back();
        const u16 flags =
            static_cast<u16>((more ? descriptor_flag::next : 0) |
                             (part.device_writes ? descriptor_flag::device_writes : 0));
        _descriptors[at] = {part.address, part.length, flags, more ? _next[at] : u16{0}};
        last = at;
        at = _next[at];
    }
    _first_free = _next[last];
    _next[last] = no_descriptor;
    _free = static_cast<u16>(_free - segments.size());
    _tokens[head] = token;
    _available->ring[_added & (_size - 1)] = head;
    ++_added;
    return {};
}

u16 queue::available_event() const {
    return load_acquire(*reinterpret_cast<const u16*>(&_used->ring[_size]));
}

bool queue::publish() {
    if (is_packed()) {
        return _packed.publish();
    }
    const u16 before = _published;
    if (before == _added) {
        return false;
    }
    store_release(_available->index, _added);
    _published = _added;
    // The index must be out before the device's wish is read, else both sides could miss each
    // other.
    device_fence();
    return _event_index ? passed(available_event(), _published, before)
                        : (load_acquire(_used->flags) & used_no_notify) == 0;
}

bool queue::has_finished() const {
    if (is_packed()) {
        return _packed.has_finished();
    }
    return _size != 0 && !_broken && load_acquire(_used->index) != _taken;
}

bool queue::take(completion& next) {
    if (is_packed()) {
        return _packed.take(next);
    }
    if (!has_finished()) {
        return false;
    }
    const used_element done = _used->ring[_taken & (_size - 1)];
    if (done.id >= _size || _tokens[done.id] == nullptr) {
        _broken = true;
        return false;
    }
    next = {_tokens[done.id], done.length};
    release_chain(static_cast<u16>(done.id));
    ++_taken;
    if (_event_index && _interrupts) {
        // Out before the caller looks for the next one: the device may have decided by the old
        // value not to interrupt for it.
        store_release(used_event(), _taken);
        device_fence();
    }
    return true;
}

void queue::release_chain(u16 head) {
    _tokens[head] = nullptr;
    u16 last = head;
    u16 count = 1;
    for (; _next[last] != no_descriptor; ++count) {
        last = _next[last];
    }
    _next[last] = _first_free;
    _first_free = head;
    _free = static_cast<u16>(_free + count);
    KILN_DEBUG_ASSERT(_free <= _size);
}

bool queue::enable_interrupts() {
    return enable_interrupts_after(0);
}

bool queue::enable_interrupts_after(u16 after) {
    if (is_packed()) {
        return _packed.enable_interrupts();
    }
    _interrupts = true;
    if (_event_index) {
        store_release(used_event(), static_cast<u16>(_taken + after));
    } else {
        store_release(_available->flags, 0);
    }
    device_fence();
    return static_cast<u16>(load_acquire(_used->index) - _taken) > after && !_broken;
}

void queue::disable_interrupts() {
    if (is_packed()) {
        _packed.disable_interrupts();
        return;
    }
    _interrupts = false;
    if (_event_index) {
        // As far behind as can be: passed only after a whole round of the 16-bit index.
        store_release(used_event(), static_cast<u16>(_taken - 1));
    } else {
        store_release(_available->flags, available_no_interrupt);
    }
}

}  // namespace kiln::virtio

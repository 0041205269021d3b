#include "drivers/vmxnet3/receive_rings.hh"

#include <utility>

#include "core/page.hh"
#include "net/net_device.hh"

namespace kiln::vmxnet3 {
namespace {

using net::chunk;
using net::packet_buffer;

constexpr usize shortest_frame = 14;

}  // namespace

void buffer_ring::init(descriptor* ring, u32 size, u32 kind) {
    _ring = ring;
    _size = size;
    _kind = kind;
    _given = _taken = 0;
}

chunk* buffer_ring::take(u32 index) {
    const u32 ahead = (index - _taken) % _size;
    if (index >= _size || ahead >= _given - _taken) {
        return nullptr;
    }
    _taken += ahead + 1;
    return std::exchange(_buffers[index], nullptr);
}

bool buffer_ring::refill() {
    for (u32 left = missing(); left != 0; --left) {
        const u32 at = _given % _size;
        if (_buffers[at] == nullptr) {
            auto made = chunk::allocate_for_receive();
            if (!made.ok()) {
                return false;
            }
            _buffers[at] = made.take().leak();
        }
        descriptor& to = _ring[at];
        to.address = virt_to_phys(_buffers[at]->data());
        to.words[1] = 0;
        const u32 generation = (_given / _size) % 2 == 0 ? receive_word::generation : 0;
        const u32 size = static_cast<u32>(_buffers[at]->capacity());
        __atomic_store_n(&to.words[0], size | _kind | generation, __ATOMIC_RELEASE);
        ++_given;
    }
    return true;
}

void buffer_ring::clear() {
    for (chunk*& each : _buffers) {
        if (each != nullptr) {
            std::exchange(each, nullptr)->drop_reference();
        }
    }
    _given = _taken = 0;
}

void receive_rings::init(std::byte* memory, u32 number, u32 queues) {
    static_assert(head_entries <= buffer_ring::largest);
    static_assert(head_entries * sizeof(descriptor) % ring_alignment == 0);
    static_assert(body_entries * sizeof(descriptor) % ring_alignment == 0);
    _memory = memory;
    _number = number;
    _queues = queues;
    auto* descriptors = reinterpret_cast<descriptor*>(memory);
    _head.init(descriptors, head_entries, 0);
    _body.init(descriptors + head_entries, body_entries, receive_word::body);
    _completed = reinterpret_cast<completion*>(descriptors + completions);
    _next = {};
}

void receive_rings::describe(receive_queue& to) const {
    const u64 place = virt_to_phys(_memory);
    to.rings[0] = place;
    to.rings[1] = place + head_entries * sizeof(descriptor);
    to.completion_ring = place + completions * sizeof(descriptor);
    to.ring_sizes[0] = head_entries;
    to.ring_sizes[1] = body_entries;
    to.completion_ring_size = completions;
    to.driver_data = place;
    to.driver_data_length = static_cast<u32>(total_bytes);
}

void receive_rings::clear() {
    _head.clear();
    _body.clear();
    _partial.reset();
    _dropping = false;
    __builtin_memset(static_cast<void*>(_memory), 0, total_bytes);
    _next = {};
}

bool receive_rings::refill() {
    bool full = true;
    if (_head.missing() >= refill_step) {
        full = _head.refill();
    }
    if (_body.missing() != 0) {
        full = _body.refill() && full;
    }
    return full;
}

bool receive_rings::has_received() const {
    const u32 last = __atomic_load_n(&_completed[_next.at].words[3], __ATOMIC_ACQUIRE);
    return (last >> 31) == _next.generation;
}

// Reads each word once: the device may go on writing.
bool receive_rings::next(part& done) {
    const completion& at = _completed[_next.at];
    const u32 last = __atomic_load_n(&at.words[3], __ATOMIC_ACQUIRE);
    if ((last >> 31) != _next.generation) {
        return false;
    }
    done = {__atomic_load_n(&at.words[0], __ATOMIC_RELAXED),
            __atomic_load_n(&at.words[2], __ATOMIC_RELAXED), last};
    _next.advance(completions);
    return true;
}

ref<chunk> receive_rings::buffer_of(const part& done) {
    const u32 ring = (done.first >> completed::ring_shift) & completed::ring_mask;
    const u32 index = done.first & completed::index_mask;
    chunk* found = nullptr;
    if (ring == _number) {
        found = _head.take(index);
    } else if (ring == _number + _queues) {
        found = _body.take(index);
    }
    return ref<chunk>::adopt(found);
}

// A frame of several buffers comes as several completions.
nic::received receive_rings::take(net::packet_ptr& frame) {
    part done{};
    while (next(done)) {
        ref<chunk> buffer = buffer_of(done);
        if (!buffer || (done.length & completed::length_mask) > buffer->capacity()) {
            return nic::received::broken;
        }
        const nic::received got = add(done, std::move(buffer), frame);
        if (got != nic::received::none) {
            return got;
        }
    }
    return nic::received::none;
}

nic::received receive_rings::add(const part& done, ref<chunk> buffer, net::packet_ptr& frame) {
    const usize length = done.length & completed::length_mask;
    const bool starts = (done.first & completed::start) != 0;
    const bool kept = starts ? begin(std::move(buffer), length) : extend(std::move(buffer), length);
    _dropping = !kept;
    if ((done.first & completed::end) == 0) {
        return nic::received::none;
    }
    return finish(done, frame);
}

bool receive_rings::begin(ref<chunk> buffer, usize length) {
    _partial.reset();  // of a frame that has no end
    auto made = packet_buffer::make_received(std::move(buffer), 0, length);
    if (!made.ok()) {
        return false;
    }
    _partial = made.take();
    return true;
}

bool receive_rings::extend(ref<chunk> buffer, usize length) {
    if (_dropping || !_partial) {
        return false;
    }
    std::byte* bytes = buffer->data();
    return length == 0 || (_partial->fragments().size() < packet_buffer::max_fragments &&
                           _partial->append(std::move(buffer), bytes, length));
}

nic::received receive_rings::finish(const part& done, net::packet_ptr& frame) {
    const bool bad = _dropping || !_partial || (done.length & completed::error) != 0 ||
                     _partial->size() < shortest_frame;
    _dropping = false;
    if (bad) {
        _partial.reset();
        return nic::received::dropped;
    }
    const bool transport = (done.flags & (completed::tcp | completed::udp)) != 0;
    _partial->checksum_valid = transport && (done.first & completed::no_checksum) == 0 &&
                               (done.flags & completed::transport_good) != 0 &&
                               (done.flags & completed::fragment) == 0;
    frame = std::move(_partial);
    return nic::received::frame;
}

}  // namespace kiln::vmxnet3

#include "drivers/ena/receive_ring.hh"

#include <utility>

namespace kiln::ena {
namespace {

using net::chunk;
using net::packet_buffer;

constexpr usize shortest_frame = 14;

bool transport_is_good(u32 status) {
    namespace s = received_status;
    const u32 transport = status & s::transport_mask;
    const bool good_ip = (status & s::ip_mask) != s::ipv4 || (status & s::bad_ip_sum) == 0;
    return (transport == s::tcp || transport == s::udp) && good_ip &&
           (status & (s::transport_checked | s::bad_transport_sum | s::fragment)) ==
               s::transport_checked;
}

}  // namespace

result<void> receive_ring::allocate(const shape& wanted) {
    _shape = wanted;
    TRY(_ring.allocate(wanted.depth * sizeof(receive_descriptor)));
    TRY(_completions.allocate(wanted.depth * sizeof(receive_completion)));
    if (_ring.place() + _ring.size() > wanted.reach ||
        _completions.place() + _completions.size() > wanted.reach) {
        return err::nomem;
    }
    clear();
    return {};
}

void receive_ring::clear() {
    for (chunk*& each : _buffers) {
        if (each != nullptr) {
            std::exchange(each, nullptr)->drop_reference();
        }
    }
    _partial.reset();
    _ring.clear();
    _completions.clear();
    // One number is never used: a full ring would look like an empty one.
    _free_count = _shape.depth - 1;
    for (u32 i = 0; i < _free_count; ++i) {
        _free[i] = static_cast<u16>(_free_count - 1 - i);
    }
    _given = _taken = _parts = 0;
    _dropping = false;
}

bool receive_ring::give_buffer() {
    auto made = chunk::allocate_for_receive();
    if (!made.ok()) {
        return false;
    }
    ref<chunk> buffer = made.take();
    const u64 place = dma_address(buffer->data());
    const usize capacity = buffer->capacity();
    if (place + capacity > _shape.reach) {
        return false;
    }
    const u16 id = _free[--_free_count];
    _buffers[id] = buffer.leak();
    receive_descriptor made_one{};
    made_one.length = static_cast<u16>(capacity);
    made_one.id = id;
    made_one.address_low = static_cast<u32>(place);
    made_one.address_high = static_cast<u16>(place >> 32);
    const bool round = (_given / _shape.depth) % 2 == 0;
    made_one.flags = receive_descriptor::whole | receive_descriptor::report |
                     (round ? receive_descriptor::phase : 0);
    _ring.as<receive_descriptor>()[_given % _shape.depth] = made_one;
    ++_given;
    return true;
}

bool receive_ring::refill(bool& given) {
    const u32 before = _given;
    // Not a doorbell for each buffer.
    const u32 step = _shape.depth / 8;
    if (_free_count >= step) {
        while (_free_count != 0 && give_buffer()) {
        }
    }
    given = _given != before;
    return _free_count < step;
}

bool receive_ring::has_received() const {
    const u32 status = __atomic_load_n(
        &_completions.as<receive_completion>()[_taken % _shape.depth].status, __ATOMIC_ACQUIRE);
    return ((status & received_status::phase) != 0) == ((_taken / _shape.depth) % 2 == 0);
}

// Reads each word once: the device may go on writing.
bool receive_ring::next(part& done) {
    if (!has_received()) {
        return false;
    }
    const receive_completion& at = _completions.as<receive_completion>()[_taken % _shape.depth];
    const u32 status = __atomic_load_n(&at.status, __ATOMIC_RELAXED);
    const u32 word = __atomic_load_n(&at.length_and_id, __ATOMIC_RELAXED);
    const u32 place = __atomic_load_n(&at.place, __ATOMIC_RELAXED);
    ++_taken;
    done = {status, word & 0xffff, word >> 16, (place >> 16) & 0xff};
    return true;
}

ref<chunk> receive_ring::buffer_of(u32 id) {
    if (id >= _shape.depth || _buffers[id] == nullptr) {
        return {};
    }
    _free[_free_count++] = static_cast<u16>(id);
    return ref<chunk>::adopt(std::exchange(_buffers[id], nullptr));
}

// A frame of several buffers comes as several completions.
nic::received receive_ring::take(net::packet_ptr& frame) {
    part done{};
    while (next(done)) {
        const nic::received got = add(done, frame);
        if (got != nic::received::none) {
            return got;
        }
    }
    return nic::received::none;
}

// That a frame begins without saying so is borne, as Amazon's own drivers do.
bool receive_ring::is_impossible(const part& done) const {
    const bool starts = (done.status & received_status::first) != 0;
    return (starts && _parts != 0) || _parts >= _shape.most_buffers ||
           (_shape.checks_zeros && (done.status & received_status::zeros) != 0);
}

nic::received receive_ring::add(const part& done, net::packet_ptr& frame) {
    ref<chunk> buffer = buffer_of(done.id);
    if (!buffer || done.offset + done.length > buffer->capacity() || is_impossible(done)) {
        return nic::received::broken;
    }
    _dropping = !keep(done, std::move(buffer)) || _dropping;
    ++_parts;
    if ((done.status & received_status::last) == 0) {
        return nic::received::none;
    }
    return finish(done, frame);
}

bool receive_ring::keep(const part& done, ref<chunk> buffer) {
    if (_parts != 0) {
        std::byte* bytes = buffer->data() + done.offset;
        return _partial && (done.length == 0 ||
                            _partial->append(std::move(buffer), bytes, done.length));
    }
    auto made = packet_buffer::make_received(std::move(buffer), done.offset, done.length);
    if (made.ok()) {
        _partial = made.take();
    }
    return made.ok();
}

nic::received receive_ring::finish(const part& done, net::packet_ptr& frame) {
    const bool bad = std::exchange(_dropping, false) || _partial->size() < shortest_frame;
    _parts = 0;
    if (bad) {
        _partial.reset();
        return nic::received::dropped;
    }
    _partial->checksum_valid = transport_is_good(done.status);
    frame = std::move(_partial);
    return nic::received::frame;
}

}  // namespace kiln::ena

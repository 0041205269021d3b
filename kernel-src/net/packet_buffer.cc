#include "net/packet_buffer.hh"

#include <algorithm>

#include "core/spinlock.hh"
#include "core/thread.hh"

namespace kiln::net {

// Free chunks of one size; beyond a bound they go back to the heap.
class chunk_pool {
public:
    constexpr chunk_pool(chunk_size size, usize keep) : _size(size), _keep(keep) {}

    chunk* take() {
        lock_guard guard(_lock);
        chunk* found = _free.pop_front();
        _count -= found != nullptr ? 1 : 0;
        return found;
    }
    // Whether it was kept.
    bool give(chunk& freed) {
        lock_guard guard(_lock);
        if (_count >= _keep) {
            return false;
        }
        _free.push_front(freed);
        ++_count;
        return true;
    }
    static chunk* fresh(chunk_size size) {
        const usize total = size == chunk_size::small ? chunk::small_total : chunk::large_total;
        void* memory = ::operator new(total, std::nothrow);
        if (memory == nullptr) {
            return nullptr;
        }
        auto* made = new (memory) chunk;
        made->_size = size;
        return made;
    }
    static void destroy(chunk& freed) {
        freed.~chunk();
        ::operator delete(static_cast<void*>(&freed));
    }
    // An object from the free list starts its life anew.
    static chunk* revive(chunk* found) {
        if (found == nullptr) {
            return nullptr;
        }
        const chunk_size size = found->_size;
        found->~chunk();
        auto* made = new (found) chunk;
        made->_size = size;
        return made;
    }
    void set_keep(usize keep) { _keep = keep; }

private:
    spinlock _lock;
    list<chunk, &chunk::link> _free;
    usize _count = 0;
    [[maybe_unused]] chunk_size _size;
    usize _keep;
};

namespace {

struct free_packet {
    free_packet* next;
};

struct packet_pool {
    spinlock lock;
    free_packet* first = nullptr;
    usize count = 0;
};

constexpr usize kept_packets = 256;

struct cpu_pools {
    chunk_pool small{chunk_size::small, 256};
    chunk_pool large{chunk_size::large, 16};
    packet_pool packets;
};

constinit per_cpu<cpu_pools> pools;
constinit chunk_pool receive_reserve{chunk_size::small, 0};

}  // namespace

result<ref<chunk>> chunk::allocate(chunk_size size) {
    cpu_pools& mine = pools.mine();
    chunk* found = chunk_pool::revive((size == chunk_size::small ? mine.small : mine.large).take());
    if (found == nullptr) {
        found = chunk_pool::fresh(size);
    }
    if (found == nullptr) {
        return err::nomem;
    }
    return ref<chunk>::adopt(found);
}

result<ref<chunk>> chunk::allocate_for_receive() {
    auto made = allocate(chunk_size::small);
    if (made.ok()) {
        return made;
    }
    if (chunk* kept = chunk_pool::revive(receive_reserve.take())) {
        return ref<chunk>::adopt(kept);
    }
    return err::nomem;
}

void chunk::last_reference() {
    cpu_pools& mine = pools.mine();
    if (_size == chunk_size::small && receive_reserve.give(*this)) {
        return;
    }
    if (!(_size == chunk_size::small ? mine.small : mine.large).give(*this)) {
        chunk_pool::destroy(*this);
    }
}

result<void> reserve_receive_chunks(usize count) {
    receive_reserve.set_keep(count);
    for (usize i = 0; i < count; ++i) {
        chunk* made = chunk_pool::fresh(chunk_size::small);
        if (made == nullptr) {
            return err::nomem;
        }
        if (!receive_reserve.give(*made)) {
            chunk_pool::destroy(*made);
            return {};
        }
    }
    return {};
}

void* packet_buffer::operator new(usize size, const std::nothrow_t&) noexcept {
    packet_pool& pool = pools.mine().packets;
    {
        lock_guard guard(pool.lock);
        if (free_packet* found = pool.first) {
            pool.first = found->next;
            --pool.count;
            return found;
        }
    }
    return ::operator new(size, std::nothrow);
}

void packet_buffer::operator delete(void* memory) noexcept {
    packet_pool& pool = pools.mine().packets;
    {
        lock_guard guard(pool.lock);
        if (pool.count < kept_packets) {
            pool.first = new (memory) free_packet{pool.first};
            ++pool.count;
            return;
        }
    }
    ::operator delete(memory);
}

result<packet_ptr> packet_buffer::make() {
    auto* made = new (std::nothrow) packet_buffer;
    if (made == nullptr) {
        return err::nomem;
    }
    return packet_ptr(made);
}

result<packet_ptr> packet_buffer::make_received(ref<chunk> from, usize offset, usize length) {
    packet_ptr made = TRY(make());
    KILN_ASSERT(offset + length <= from->capacity());
    made->_data = from->data() + offset;
    made->_linear = made->_size = static_cast<u32>(length);
    made->_owner = from.leak();
    return made;
}

packet_buffer::~packet_buffer() {
    for (const fragment& part : fragments()) {
        part.owner->drop_reference();
    }
    if (_owner != nullptr) {
        _owner->drop_reference();
    }
}

std::byte* packet_buffer::push(usize size) {
    const std::byte* start = _owner != nullptr ? _owner->data() : _room;
    KILN_ASSERT(static_cast<usize>(_data - start) >= size);
    _data -= size;
    _linear += static_cast<u32>(size);
    _size += static_cast<u32>(size);
    return _data;
}

void packet_buffer::pull(usize size) {
    KILN_ASSERT(size <= _linear);
    _data += size;
    _linear -= static_cast<u32>(size);
    _size -= static_cast<u32>(size);
}

void packet_buffer::drop_front(usize size) {
    KILN_ASSERT(size <= _size);
    const usize from_linear = std::min<usize>(size, _linear);
    pull(from_linear);
    size -= from_linear;
    _size -= static_cast<u32>(size);
    usize gone = 0;
    while (size != 0) {
        fragment& first = _fragments[gone];
        const u32 taken = static_cast<u32>(std::min<usize>(size, first.length));
        first.data += taken;
        first.length -= taken;
        size -= taken;
        if (first.length == 0) {
            first.owner->drop_reference();
            ++gone;
        }
    }
    std::copy(_fragments + gone, _fragments + _fragment_count, _fragments);
    _fragment_count -= static_cast<u32>(gone);
}

void packet_buffer::trim(usize size) {
    if (size >= _size) {
        return;
    }
    _size = static_cast<u32>(size);
    _linear = std::min(_linear, _size);
    usize left = size - _linear;
    u32 kept = 0;
    for (; kept < _fragment_count && left != 0; ++kept) {
        fragment& part = _fragments[kept];
        part.length = static_cast<u32>(std::min<usize>(part.length, left));
        left -= part.length;
    }
    for (u32 i = kept; i < _fragment_count; ++i) {
        _fragments[i].owner->drop_reference();
    }
    _fragment_count = kept;
}

bool packet_buffer::linearise(usize size) {
    if (size <= _linear) {
        return true;
    }
    if (size > _size || size > chunk::small_total - chunk::header_size) {
        return false;
    }
    auto fresh = chunk::allocate(chunk_size::small);
    if (!fresh.ok()) {
        return false;
    }
    ref<chunk> to = fresh.take();
    copy_out(0, to->data(), size);
    drop_front(size);
    // What is left of the linear part is nothing: size was more than it.
    if (_owner != nullptr) {
        _owner->drop_reference();
    }
    _data = to->data();
    _linear = static_cast<u32>(size);
    _size += static_cast<u32>(size);
    _owner = to.leak();
    return true;
}

bool packet_buffer::append(ref<chunk> owner, std::byte* bytes, usize length) {
    if (_fragment_count == max_fragments) {
        return false;
    }
    _fragments[_fragment_count++] = {owner.leak(), bytes, static_cast<u32>(length)};
    _size += static_cast<u32>(length);
    return true;
}

result<packet_ptr> packet_buffer::clone() const {
    packet_ptr copy = TRY(make());
    copy->_data = _data;
    copy->_linear = _linear;
    copy->_size = _size;
    copy->_owner = _owner;
    copy->network_header = network_header;
    if (_owner != nullptr) {
        _owner->add_reference();
    } else {
        // The headers lie in the packet itself: the same places in the copy.
        __builtin_memcpy(copy->_room, _room, head_room);
        copy->_data = copy->_room + (_data - _room);
        copy->network_header =
            network_header == nullptr ? nullptr : copy->_room + (network_header - _room);
    }
    for (const fragment& part : fragments()) {
        part.owner->add_reference();
        copy->_fragments[copy->_fragment_count++] = part;
    }
    copy->checksum_valid = checksum_valid;
    copy->is_loopback = is_loopback;
    copy->is_broadcast = is_broadcast;
    copy->from = from;
    copy->sequence = sequence;
    return copy;
}

bool packet_buffer::absorb(const packet_buffer& other) {
    if (_owner == nullptr || _fragment_count != 0 || _owner->reference_count() != 1) {
        return false;
    }
    std::byte* end = _data + _linear;
    if (static_cast<usize>(_owner->data() + _owner->capacity() - end) < other.size()) {
        return false;
    }
    other.copy_out(0, end, other.size());
    _linear += other._size;
    _size += other._size;
    return true;
}

void packet_buffer::copy_out(usize offset, void* to, usize size) const {
    KILN_ASSERT(offset + size <= _size);
    auto* target = static_cast<std::byte*>(to);
    for_each_piece(offset, size, [&](std::span<const std::byte> piece) {
        __builtin_memcpy(target, piece.data(), piece.size());
        target += piece.size();
        return true;
    });
}

usize packet_buffer::true_size() const {
    usize total = sizeof(packet_buffer) + (_owner != nullptr ? _owner->capacity() : 0);
    for (const fragment& part : fragments()) {
        total += part.length;
    }
    return total;
}

void packet_queue::push_back(packet_ptr packet) {
    packet_buffer* added = packet.leak();
    added->next = nullptr;
    (_last != nullptr ? _last->next : _first) = added;
    _last = added;
    ++_count;
}

packet_ptr packet_queue::pop_front() {
    packet_buffer* taken = _first;
    if (taken != nullptr) {
        _first = taken->next;
        if (_first == nullptr) {
            _last = nullptr;
        }
        taken->next = nullptr;
        --_count;
    }
    return packet_ptr(taken);
}

void packet_queue::clear() {
    while (!empty()) {
        pop_front();
    }
}

}  // namespace kiln::net

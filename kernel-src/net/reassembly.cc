#include "net/reassembly.hh"

#include <algorithm>

#include "net/wire.hh"

namespace kiln::net {
namespace {

constexpr usize max_datagrams = 64;
constexpr usize max_bytes = 512 * KiB;
constexpr usize max_payload = 65535;
constexpr u64 lifetime = 30 * ns_per_s;

// The headers of a whole datagram: the length of all of it, and no fragment fields.
void fix_header(std::byte* bytes, usize header_size, usize payload) {
    if (static_cast<u8>(bytes[0]) >> 4 == 4) {
        auto* header = header_at<ipv4_header>(bytes);
        header->total_size = static_cast<u16>(header_size + payload);
        header->fragment = 0;
    } else {
        auto* header = header_at<ipv6_header>(bytes);
        header->payload_size = static_cast<u16>(header_size - sizeof(ipv6_header) + payload);
    }
}

}  // namespace

reassembler::datagram::~datagram() {
    while (parts != nullptr) {
        packet_ptr gone(parts);
        parts = gone->next;
    }
}

reassembler::~reassembler() {
    _timers.stop(_timer);
    while (datagram* left = _datagrams.front()) {
        forget(*left);
    }
}

void reassembler::forget(datagram& gone) {
    list<datagram, &datagram::link>::remove(gone);
    _bytes -= gone.have;
    --_count;
    delete &gone;
}

void reassembler::make_room() {
    while (!_datagrams.empty() && (_count >= max_datagrams || _bytes >= max_bytes)) {
        forget(*_datagrams.front());
    }
}

reassembler::datagram* reassembler::find_or_insert(const fragment_key& key,
                                                   unique<datagram>& spare) {
    for (datagram& known : _datagrams) {
        if (known.key == key) {
            return &known;
        }
    }
    make_room();
    datagram* fresh = spare.leak();
    fresh->key = key;
    fresh->deadline = now() + lifetime;
    _datagrams.push_back(*fresh);
    if (_count++ == 0) {
        _timers.start(_timer, fresh->deadline);
    }
    return fresh;
}

// False when it overlaps what is there. An exact duplicate is dropped without harm.
bool reassembler::insert(datagram& to, packet_ptr& packet, usize offset, usize size) {
    packet_buffer** place = &to.parts;
    usize end_before = 0;
    while (*place != nullptr && (*place)->sequence < offset) {
        end_before = (*place)->sequence + (*place)->size();
        place = &(*place)->next;
    }
    if (*place != nullptr && (*place)->sequence == offset && (*place)->size() == size) {
        return true;
    }
    if (end_before > offset || (*place != nullptr && (*place)->sequence < offset + size)) {
        return false;
    }
    packet->sequence = offset;
    packet->next = *place;
    *place = packet.leak();
    to.have += size;
    return true;
}

packet_ptr reassembler::add(packet_ptr packet, const fragment_key& key, usize header_size,
                            usize offset, bool more) {
    auto made = make_unique<datagram>();
    const usize size = packet->size() - header_size;
    if (!made.ok() || offset + size > max_payload || (more && size % 8 != 0) || size == 0 ||
        header_size > packet_buffer::head_room) {
        return nullptr;
    }
    unique<datagram> spare = made.take();
    unique<datagram> complete;
    {
        lock_guard guard(_lock);
        datagram& to = *find_or_insert(key, spare);
        if (offset == 0) {
            __builtin_memcpy(to.header, packet->data(), header_size);
            to.header_size = header_size;
        }
        const bool bad_end = (to.total != 0 && offset + size > to.total) ||
                             (!more && to.total != 0 && to.total != offset + size);
        packet->drop_front(header_size);
        const usize before = to.have;
        if (bad_end || !insert(to, packet, offset, size)) {
            forget(to);
            return nullptr;
        }
        _bytes += to.have - before;
        to.total = more ? to.total : offset + size;
        if (to.total == 0 || to.have < to.total || to.header_size == 0) {
            return nullptr;
        }
        _bytes -= to.have;
        --_count;
        list<datagram, &datagram::link>::remove(to);
        complete.reset(&to);
    }
    return join(*complete);
}

packet_ptr reassembler::join(datagram& complete) {
    auto made = packet_buffer::make();
    if (!made.ok()) {
        return nullptr;
    }
    packet_ptr whole = made.take();
    __builtin_memcpy(whole->push(complete.header_size), complete.header, complete.header_size);
    fix_header(whole->data(), complete.header_size, complete.total);
    whole->from = complete.parts->from;
    whole->is_broadcast = complete.parts->is_broadcast;
    whole->network_header = whole->data();
    ref<chunk> target;
    usize used = 0;
    for (packet_buffer* part = complete.parts; part != nullptr; part = part->next) {
        for (usize done = 0; done < part->size();) {
            if (!target || used == target->capacity()) {
                if (target) {
                    whole->append(target, target->data(), used);
                }
                auto fresh = chunk::allocate(chunk_size::large);
                if (!fresh.ok()) {
                    return nullptr;
                }
                target = fresh.take();
                used = 0;
            }
            const usize length = std::min(part->size() - done, target->capacity() - used);
            part->copy_out(done, target->data() + used, length);
            done += length;
            used += length;
        }
    }
    std::byte* const bytes = target->data();
    whole->append(std::move(target), bytes, used);
    return whole;
}

void reassembler::expire(net_timer& expired) {
    member_traits<&reassembler::_timer>::object(&expired)->on_expire();
}

void reassembler::on_expire() {
    lock_guard guard(_lock);
    while (datagram* oldest = _datagrams.front()) {
        if (oldest->deadline > now()) {
            _timers.start(_timer, oldest->deadline);
            return;
        }
        forget(*oldest);
    }
}

}  // namespace kiln::net

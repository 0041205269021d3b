#include "drivers/xen/receive_ring.hh"

#include <algorithm>

namespace kiln::xen {
namespace {

using net::chunk;
using net::chunk_size;
using net::packet_buffer;

constexpr usize shortest_frame = 14;

}  // namespace

result<void> receive_ring::open(grant_table& in, u16 domain) {
    _ring_page = TRY(granted_page::make(in, domain, grant_access::read_write));
    TRY(add_granted_pages(_pages, ring::size, in, domain, grant_access::read_write));
    _ring.init(_ring_page.data());
    return {};
}

void receive_ring::clear() {
    forget_partial();
    _ring.init(_ring_page.data());
}

bool receive_ring::refill() {
    if (_ring.room() < refill_step) {
        return false;
    }
    while (_ring.room() != 0) {
        const u32 slot = _ring.next_slot();
        _ring.put(receive_request{static_cast<u16>(slot), 0, _pages[slot].reference()});
    }
    return _ring.publish();
}

void receive_ring::forget_partial() {
    for (ref<chunk>& each : _chunks) {
        each = {};
    }
    _chunk_count = 0;
    _inside = _expects_extra = _expects_data = false;
}

// ---- the parts of a frame ----

nic::received receive_ring::take(net::packet_ptr& frame) {
    for (;;) {
        receive_response slot;
        const u32 number = _ring.next_answer();
        switch (_ring.take(slot)) {
            case ring_state::none: return nic::received::none;
            case ring_state::broken: return nic::received::broken;
            case ring_state::response: break;
        }
        const nic::received got = take_slot(slot, number, frame);
        if (got != nic::received::none) {
            return got;
        }
    }
}

nic::received receive_ring::take_slot(const receive_response& slot, u32 number,
                                      net::packet_ptr& frame) {
    if (_expects_extra) {
        add_extra(slot);
    } else {
        // Neither can be of a request that we made.
        if (slot.id != number || (slot.status > 0 && slot.offset + slot.status > int{page_size})) {
            return nic::received::broken;
        }
        if (!_inside) {
            begin(slot);
        }
        _expects_data = (slot.flags & net_flag::more_data) != 0;
        add_data(slot, number);
    }
    return _expects_extra || _expects_data ? nic::received::none : finish(frame);
}

void receive_ring::begin(const receive_response& first) {
    _inside = true;
    _bad = false;
    _expects_extra = (first.flags & net_flag::extra_info) != 0;
    _checksum_valid = (first.flags & (net_flag::data_validated | net_flag::checksum_blank)) != 0;
}

void receive_ring::add_data(const receive_response& part, u32 number) {
    const bool good = part.status > 0 &&
                      copy_in(_pages[number].data() + part.offset, static_cast<usize>(part.status),
                              !_expects_data && _chunk_count == 0);
    _bad = _bad || !good;
}

// What it says of segments is not needed: the stack takes them in one piece.
void receive_ring::add_extra(const receive_response& overlaid) {
    extra_info found;
    static_assert(sizeof(found) == sizeof(overlaid));
    __builtin_memcpy(&found, &overlaid, sizeof(found));
    _bad = _bad || found.type == 0 || found.type > extra::highest_type;
    _expects_extra = (found.flags & extra::more) != 0;
}

bool receive_ring::add_chunk(bool small) {
    if (_chunk_count == most_chunks) {
        return false;
    }
    auto made = small ? chunk::allocate_for_receive() : chunk::allocate(chunk_size::large);
    if (!made.ok()) {
        return false;
    }
    _lengths[_chunk_count] = 0;
    _chunks[_chunk_count++] = made.take();
    return true;
}

// Once: what is judged later is the copy.
bool receive_ring::copy_in(const std::byte* bytes, usize length, bool all_of_it) {
    constexpr usize small_capacity = chunk::small_total - chunk::header_size;
    while (length != 0 && !_bad) {
        const bool full = _chunk_count == 0 ||
                          _lengths[_chunk_count - 1] == _chunks[_chunk_count - 1]->capacity();
        if (full && !add_chunk(all_of_it && length <= small_capacity)) {
            return false;
        }
        usize& used = _lengths[_chunk_count - 1];
        chunk& to = *_chunks[_chunk_count - 1];
        const usize step = std::min(length, to.capacity() - used);
        __builtin_memcpy(to.data() + used, bytes, step);
        used += step;
        bytes += step;
        length -= step;
    }
    return true;
}

nic::received receive_ring::finish(net::packet_ptr& frame) {
    const usize head = _chunk_count == 0 ? 0 : _lengths[0];
    net::packet_ptr whole;
    if (!_bad && head >= shortest_frame) {
        auto made = packet_buffer::make_received(std::move(_chunks[0]), 0, head);
        if (made.ok()) {
            whole = made.take();
        }
    }
    for (usize i = 1; whole && i < _chunk_count; ++i) {
        std::byte* bytes = _chunks[i]->data();
        if (!whole->append(std::move(_chunks[i]), bytes, _lengths[i])) {
            whole.reset();
        }
    }
    forget_partial();
    if (!whole) {
        return nic::received::dropped;
    }
    whole->checksum_valid = _checksum_valid;
    frame = std::move(whole);
    return nic::received::frame;
}

}  // namespace kiln::xen

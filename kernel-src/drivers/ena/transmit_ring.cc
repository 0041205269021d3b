#include "drivers/ena/transmit_ring.hh"

#include <algorithm>
#include <utility>

#include "core/clock.hh"

namespace kiln::ena {
namespace {

using net::chunk;
using net::packet_buffer;

// What can be put together into one piece.
constexpr usize longest_head = chunk::small_total - chunk::header_size;

}  // namespace

result<void> transmit_ring::allocate(machine& in, const plan& by, u64 reach) {
    _machine = &in;
    _push = by.push;
    _depth = by.transmit_depth;
    _limit = std::min(by.most_descriptors, most_descriptors);
    _header_bytes = by.header_bytes;
    _always_metadata = by.always_metadata;
    _sums_ipv6 = by.sums_ipv6;
    _checks_zeros = by.checks_zeros;
    _reach = reach;
    TRY(_ring.allocate(_depth * sizeof(transmit_descriptor)));
    TRY(_completions.allocate(_depth * sizeof(u64)));
    if (_ring.place() + _ring.size() > reach ||
        _completions.place() + _completions.size() > reach) {
        return err::nomem;
    }
    clear();
    return {};
}

void transmit_ring::open(u32 doorbell, u64 lines) {
    _doorbell = doorbell;
    _lines = lines;
}

void transmit_ring::clear() {
    for (packet_buffer*& each : _frames) {
        delete std::exchange(each, nullptr);
    }
    _ring.clear();
    _completions.clear();
    _free_count = _depth - 1;
    for (u32 i = 0; i < _free_count; ++i) {
        _free[i] = static_cast<u16>(_free_count - 1 - i);
    }
    _tail = _told = _done = _taken = 0;
    _last_sent = now();
}

u32 transmit_ring::pushed_bytes(const packet_buffer& frame) const {
    return _push.used ? static_cast<u32>(std::min<usize>(frame.size(), _header_bytes)) : 0;
}

// Of all but the first `from` bytes.
usize transmit_ring::pieces_of(const packet_buffer& frame, usize from) const {
    usize count = 0;
    frame.for_each_piece(from, frame.size() - from, [&](std::span<const std::byte>) {
        ++count;
        return true;
    });
    return count;
}

usize transmit_ring::needed_for(const packet_buffer& frame) const {
    const usize metadata = frame.offload.checksum || _always_metadata ? 1 : 0;
    return metadata + std::max<usize>(pieces_of(frame, pushed_bytes(frame)), 1);
}

u32 transmit_ring::entries_for(usize descriptors) const {
    const u32 count = static_cast<u32>(descriptors);
    if (!_push.used) {
        return count;
    }
    const u32 further = count > _push.before_header ? count - _push.before_header : 0;
    return 1 + (further + push_plan::descriptors_a_line - 1) / push_plan::descriptors_a_line;
}

// Frames in too many pieces have their first ones put together.
bool transmit_ring::fits(packet_buffer& frame) {
    const auto is_small = [&] {
        const usize needed = needed_for(frame);
        return needed <= _limit && (_push.burst == 0 || entries_for(needed) <= _push.burst);
    };
    return is_small() || (frame.linearise(std::min(frame.size(), longest_head)) && is_small());
}

nic::placed transmit_ring::put(packet_buffer& frame) {
    offload_words asked;
    if (frame.size() == 0 || !describe_offload(frame, _sums_ipv6, asked) || !fits(frame)) {
        return nic::placed::refused;
    }
    const u32 entries = entries_for(needed_for(frame));
    if (_free_count == 0 || entries > _depth - 1 - (_tail - _done)) {
        return nic::placed::no_room;
    }
    draft made;
    const u16 id = _free[_free_count - 1];
    if (!describe(frame, asked, id, made)) {
        return nic::placed::refused;
    }
    if (_push.used) {
        place_in_device(made, frame);
    } else {
        place_in_memory(made);
    }
    --_free_count;
    _frames[id] = &frame;
    _entries_of[id] = entries;
    _since[id] = now();
    return nic::placed::on_ring;
}

// False when a piece lies where the device cannot reach.
bool transmit_ring::describe(const packet_buffer& frame, const offload_words& asked, u16 id,
                             draft& to) {
    to.count = 0;
    to.header = pushed_bytes(frame);
    if (asked.any || _always_metadata) {
        to.descriptors[to.count++] = {
            {asked.metadata[0] | descriptor::is_metadata, 0, asked.metadata[1], 0}};
    }
    const u32 first = to.count;
    bool reached = true;
    const auto add = [&](std::span<const std::byte> piece) {
        const u64 place = dma_address(piece.data());
        reached = reached && place + piece.size() <= _reach;
        to.descriptors[to.count++] = {{static_cast<u32>(piece.size()) & descriptor::length_mask, 0,
                                       static_cast<u32>(place), static_cast<u32>(place >> 32)}};
        return true;
    };
    frame.for_each_piece(to.header, frame.size() - to.header, add);
    if (to.count == first) {
        to.descriptors[to.count++] = {};  // the frame is a header
    }
    const u32 header =
        _push.used ? to.header
                   : static_cast<u32>(std::min<usize>(frame.linear_size(), _header_bytes));
    transmit_descriptor& data = to.descriptors[first];
    data.words[0] |= descriptor::report |
                     u32{id} >> transmit_word::id_low_bits << transmit_word::id_high_shift;
    data.words[1] = asked.asked | u32{id} << transmit_word::id_low_shift;
    data.words[3] |= header << transmit_word::header_shift;
    to.descriptors[0].words[0] |= descriptor::first;
    to.descriptors[to.count - 1].words[0] |= descriptor::last;
    return reached;
}

void transmit_ring::place_in_memory(draft& made) {
    for (u32 i = 0; i < made.count; ++i) {
        made.descriptors[i].words[0] |= round();
        _ring.as<transmit_descriptor>()[_tail % _depth] = made.descriptors[i];
        ++_tail;
    }
}

// The first line: as many descriptors as go before the header, and that. Then lines of descriptors.
void transmit_ring::place_in_device(draft& made, const packet_buffer& frame) {
    if (_push.burst != 0 && _tail - _told + entries_for(made.count) > _push.burst) {
        tell_device();
    }
    u32 used = 0;
    for (u32 room = _push.before_header; used < made.count;
         room = push_plan::descriptors_a_line) {
        u64 line[push_plan::line_bytes / sizeof(u64)]{};
        const u32 here = std::min(room, made.count - used);
        const bool is_first = used == 0;
        for (u32 i = 0; i < here; ++i) {
            made.descriptors[used + i].words[0] |= round();
        }
        __builtin_memcpy(line, &made.descriptors[used], here * sizeof(transmit_descriptor));
        used += here;
        if (is_first) {
            frame.copy_out(0,
                           reinterpret_cast<std::byte*>(line) + room * sizeof(transmit_descriptor),
                           made.header);
        }
        push_line(line);
    }
}

void transmit_ring::push_line(const u64* line) {
    _machine->push(_lines + u64{_tail % _depth} * push_plan::line_bytes,
                   {line, push_plan::line_bytes / sizeof(u64)});
    ++_tail;
}

bool transmit_ring::has_sent() const {
    const u64 word = __atomic_load_n(&_completions.as<u64>()[_taken % _depth], __ATOMIC_ACQUIRE);
    return ((word & sent_word::phase) != 0) == ((_taken / _depth) % 2 == 0);
}

bool transmit_ring::reap(net::packet_queue& sent) {
    while (has_sent()) {
        const u64 word =
            __atomic_load_n(&_completions.as<u64>()[_taken % _depth], __ATOMIC_RELAXED);
        const u32 id = word & sent_word::id_mask;
        const bool damaged = _checks_zeros && (word & sent_word::zeros) != 0;
        if (damaged || id >= _depth || _frames[id] == nullptr) {
            return false;
        }
        ++_taken;
        sent.push_back(net::packet_ptr(std::exchange(_frames[id], nullptr)));
        _done += _entries_of[id];
        _free[_free_count++] = static_cast<u16>(id);
        _last_sent = now();
    }
    return true;
}

void transmit_ring::tell_device() {
    if (_told != _tail) {
        _told = _tail;
        _machine->write(_doorbell, _tail & 0xffff);
    }
}

u32 transmit_ring::older_than(u64 time) const {
    u32 count = 0;
    for (u32 id = 0; id < _depth; ++id) {
        count += _frames[id] != nullptr && _since[id] < time ? 1 : 0;
    }
    return count;
}

}  // namespace kiln::ena

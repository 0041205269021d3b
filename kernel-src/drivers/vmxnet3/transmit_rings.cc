#include "drivers/vmxnet3/transmit_rings.hh"

#include <utility>

#include "core/page.hh"
#include "drivers/nic/segmentation.hh"

namespace kiln::vmxnet3 {
namespace {

using net::packet_buffer;
using segmentation = net::transmit_offload::segmentation;

usize pieces_of(const packet_buffer& frame) {
    return (frame.linear_size() != 0 ? 1 : 0) + frame.fragments().size();
}

// The generation bit of a descriptor that the device may take.
u32 generation_at(u32 index) {
    return (index / transmit_rings::entries) % 2 == 0 ? transmit_word::generation : 0;
}

// What the first descriptor of a frame asks for, in its two words.
void describe_offload(const net::transmit_offload& asked, u32& first, u32& second) {
    if (asked.kind != segmentation::none) {
        first |= u32{asked.segment_size} << transmit_word::segment_shift;
        second |= asked.header_size | transmit_word::segment;
    } else if (asked.checksum) {
        const u32 field = u32{asked.checksum_start} + asked.checksum_offset;
        first |= field << transmit_word::segment_shift;
        second |= asked.checksum_start | transmit_word::checksum;
    }
}

}  // namespace

void transmit_rings::init(std::byte* memory) {
    _memory = memory;
    _ring = reinterpret_cast<descriptor*>(memory);
    _completed = reinterpret_cast<completion*>(_ring + entries);
    _next = {};
}

void transmit_rings::describe(transmit_queue& to) const {
    const u64 place = virt_to_phys(_memory);
    to.ring = place;
    to.completion_ring = place + entries * sizeof(descriptor);
    to.ring_size = entries;
    to.completion_ring_size = entries;
    to.driver_data = place;
    to.driver_data_length = static_cast<u32>(total_bytes);
}

void transmit_rings::clear() {
    while (_cleaned != _added) {
        const u32 first = _cleaned % entries;
        delete std::exchange(_frames[first], nullptr);
        _cleaned = _last_of[first] + 1;
    }
    __builtin_memset(static_cast<void*>(_memory), 0, total_bytes);
    _added = _told = _cleaned = 0;
    _next = {};
}

// Short frames in many pieces are put together: the device takes a few descriptors for each.
bool transmit_rings::prepare(packet_buffer& frame) {
    if (frame.offload.kind != segmentation::none) {
        return pieces_of(frame) <= most_descriptors_segmented && nic::prepare_segmentation(frame);
    }
    return pieces_of(frame) <= most_descriptors || frame.linearise(frame.size());
}

nic::placed transmit_rings::put(packet_buffer& frame) {
    const usize needed = pieces_of(frame);
    const net::transmit_offload& asked = frame.offload;
    if (needed == 0 || asked.checksum_start + asked.checksum_offset >= farthest_checksum) {
        return nic::placed::refused;
    }
    if (needed > room()) {
        return nic::placed::no_room;
    }
    if (!prepare(frame)) {
        return nic::placed::refused;
    }
    const u32 first = _added;
    if (frame.linear_size() != 0) {
        put_piece(frame.data(), frame.linear_size());
    }
    for (const net::fragment& part : frame.fragments()) {
        put_piece(part.data, part.length);
    }
    _frames[first % entries] = &frame;
    _last_of[first % entries] = _added - 1;
    _ring[(_added - 1) % entries].words[1] |= transmit_word::end | transmit_word::report;
    for (u32 i = first + 1; i != _added; ++i) {
        _ring[i % entries].words[0] ^= transmit_word::generation;
    }
    // The first one goes over last, and with it the frame.
    descriptor& head = _ring[first % entries];
    u32 word = head.words[0] ^ transmit_word::generation;
    describe_offload(asked, word, head.words[1]);
    __atomic_store_n(&head.words[0], word, __ATOMIC_RELEASE);
    return nic::placed::on_ring;
}

// With the generation that belongs to the driver: put() hands the frame over. A length of 0 means
// 16,384 bytes.
void transmit_rings::put_piece(const std::byte* bytes, usize length) {
    descriptor& to = _ring[_added % entries];
    to.address = virt_to_phys(bytes);
    to.words[1] = 0;
    to.words[0] = (static_cast<u32>(length) & transmit_word::length_mask) |
                  (generation_at(_added) ^ transmit_word::generation);
    ++_added;
}

bool transmit_rings::has_sent() const {
    const u32 last = __atomic_load_n(&_completed[_next.at].words[3], __ATOMIC_ACQUIRE);
    return (last >> 31) == _next.generation;
}

bool transmit_rings::reap(net::packet_queue& sent) {
    while (has_sent()) {
        const u32 first = __atomic_load_n(&_completed[_next.at].words[0], __ATOMIC_RELAXED);
        _next.advance(entries);
        if (!finish(first & completed::index_mask, sent)) {
            return false;
        }
    }
    return true;
}

// Frames up to the one that ends at the index, which must be under way.
bool transmit_rings::finish(u32 index, net::packet_queue& sent) {
    const u32 ahead = (index - _cleaned) % entries;
    if (index >= entries || ahead >= _added - _cleaned) {
        return false;
    }
    const u32 end = _cleaned + ahead;
    while (static_cast<i32>(end - _cleaned) >= 0) {
        const u32 first = _cleaned % entries;
        sent.push_back(net::packet_ptr(std::exchange(_frames[first], nullptr)));
        _cleaned = _last_of[first] + 1;
    }
    return _cleaned == end + 1;
}

}  // namespace kiln::vmxnet3

#include "drivers/virtio/net_rings.hh"

#include <algorithm>

#include "core/page.hh"

namespace kiln::virtio {
namespace {

using net::chunk;
using net::packet_buffer;
using net::packet_ptr;

constexpr usize most_segments = packet_buffer::max_fragments + 2;
constexpr u8 flag_needs_checksum = 1, flag_checksum_valid = 2;
constexpr u8 segmentation_tcp4 = 1, segmentation_tcp6 = 4;

u32 order_for_headers(u16 size) {
    return size * sizeof(net_header) <= page_size ? 0 : 2;
}

}  // namespace

result<void> net_rings::open(usize header_size) {
    static_assert(largest_queue * sizeof(net_header) <= page_size << 2);
    _header_size = header_size;
    page* headers = TRY(alloc_pages(order_for_headers(_transmit.size())));
    _headers = static_cast<net_header*>(page_data(*headers));
    _receive.disable_interrupts();
    _transmit.disable_interrupts();
    return {};
}

void net_rings::clear() {
    while (void* token = _receive.take_back()) {
        static_cast<chunk*>(token)->drop_reference();
    }
    while (void* token = _transmit.take_back()) {
        delete static_cast<packet_buffer*>(token);
    }
    _receive.restart();
    _transmit.restart();
    _receive.disable_interrupts();
    _transmit.disable_interrupts();
    _wants_sent = false;
}

// ---- receiving ----

bool net_rings::give_buffer() {
    auto made = chunk::allocate_for_receive();
    if (!made.ok()) {
        return false;
    }
    chunk* buffer = made.take().leak();
    const u64 place = dma_address(buffer->data());
    const u32 capacity = static_cast<u32>(buffer->capacity());
    const u32 head = static_cast<u32>(_header_size);
    const segment whole[] = {{place, capacity, true}};
    const segment split[] = {{place, head, true}, {place + head, capacity - head, true}};
    // Old devices that do not merge want the header in a descriptor of its own.
    const bool apart = _header_size == short_net_header;
    const auto parts = apart ? std::span<const segment>(split) : std::span<const segment>(whole);
    if (!_receive.add(parts, buffer).ok()) {
        buffer->drop_reference();
        return false;
    }
    return true;
}

// Not a notification for each buffer.
bool net_rings::refill() {
    if (_receive.free_descriptors() < _receive.size() / 16) {
        return true;
    }
    while (_receive.free_descriptors() >= 2 && give_buffer()) {
    }
    if (_receive.publish()) {
        _receive_doorbell.ring();
    }
    return _receive.free_descriptors() < 2 || _receive.broken();
}

nic::received net_rings::take(packet_ptr& frame) {
    queue::completion done;
    if (!_receive.take(done)) {
        return _receive.broken() ? nic::received::broken : nic::received::none;
    }
    return judge(ref<chunk>::adopt(static_cast<chunk*>(done.token)), done.length, frame);
}

nic::received net_rings::judge(ref<chunk> first, u32 length, packet_ptr& frame) {
    const auto header = *reinterpret_cast<const net_header*>(first->data());
    const u32 merged =
        _header_size == sizeof(net_header) && header.buffers > 1 ? header.buffers - 1u : 0;
    if (length > first->capacity()) {
        return nic::received::broken;
    }
    if (length < _header_size) {
        return nic::received::dropped;
    }
    auto made = packet_buffer::make_received(std::move(first), _header_size, length - _header_size);
    if (!made.ok() || !append_merged(*made.value(), merged)) {
        return nic::received::dropped;
    }
    frame = made.take();
    frame->checksum_valid = (header.flags & (flag_needs_checksum | flag_checksum_valid)) != 0;
    return nic::received::frame;
}

// Adds the further buffers of a frame that did not fit one. They are taken off the ring even when
// the frame cannot be kept.
bool net_rings::append_merged(packet_buffer& frame, u32 further) {
    bool whole = true;
    for (u32 i = 0; i < further; ++i) {
        queue::completion done;
        if (!_receive.take(done)) {
            return false;
        }
        auto part = ref<chunk>::adopt(static_cast<chunk*>(done.token));
        std::byte* bytes = part->data();
        const usize length = std::min<usize>(done.length, part->capacity());
        whole = whole && frame.fragments().size() < packet_buffer::max_fragments &&
                frame.append(std::move(part), bytes, length);
    }
    return whole;
}

// ---- sending ----

void net_rings::fill_header(net_header& header, const packet_buffer& frame) const {
    const net::transmit_offload& asked = frame.offload;
    using segmentation = net::transmit_offload::segmentation;
    header = {};
    if (asked.checksum) {
        header.flags = flag_needs_checksum;
        header.checksum_start = asked.checksum_start;
        header.checksum_offset = asked.checksum_offset;
    }
    if (asked.kind != segmentation::none) {
        header.segmentation =
            asked.kind == segmentation::tcp4 ? segmentation_tcp4 : segmentation_tcp6;
        header.segment_size = asked.segment_size;
        header.header_size = asked.header_size;
    }
}

usize net_rings::fill_segments(segment* segments, net_header& header,
                               const packet_buffer& frame) const {
    usize used = 0;
    segments[used++] = {dma_address(&header), static_cast<u32>(_header_size), false};
    if (frame.linear_size() != 0) {
        segments[used++] = {dma_address(frame.data()), static_cast<u32>(frame.linear_size()),
                            false};
    }
    for (const net::fragment& part : frame.fragments()) {
        segments[used++] = {dma_address(part.data), part.length, false};
    }
    return used;
}

nic::placed net_rings::put(packet_buffer& frame) {
    segment segments[most_segments];
    if (_transmit.free_descriptors() == 0) {
        return nic::placed::no_room;
    }
    net_header& header = _headers[_transmit.next_head()];
    const usize used = fill_segments(segments, header, frame);
    if (used > _transmit.size()) {
        return nic::placed::refused;
    }
    fill_header(header, frame);
    const bool added = _transmit.add({segments, used}, &frame).ok();
    return added ? nic::placed::on_ring : nic::placed::no_room;
}

bool net_rings::reap(net::packet_queue& sent) {
    queue::completion done;
    while (_transmit.take(done)) {
        sent.push_back(packet_ptr(static_cast<packet_buffer*>(done.token)));
    }
    return !_transmit.broken();
}

void net_rings::tell_device() {
    if (_transmit.publish()) {
        _transmit_doorbell.ring();
    }
}

// The caller looks again afterwards.
void net_rings::allow_interrupts(bool sent) {
    (void)_receive.enable_interrupts();
    if (sent) {
        (void)_transmit.enable_interrupts();
    } else if (_wants_sent) {
        _transmit.disable_interrupts();
    }
    _wants_sent = sent;
}

}  // namespace kiln::virtio

// kernel only
#include "drivers/virtio/net_queue.hh"

#include <algorithm>

#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"

namespace kiln::virtio {
namespace {

using net::chunk;
using net::packet_buffer;
using net::packet_ptr;

constexpr u16 queue_entries = 256;
constexpr u32 frames_of_a_batch = 64;
constexpr usize longest_backlog = 256;
constexpr u16 refill_step = 16;
constexpr u64 memory_retry = 10 * ns_per_ms;
constexpr usize most_segments = packet_buffer::max_fragments + 2;
constexpr u8 flag_needs_checksum = 1, flag_checksum_valid = 2;
constexpr u8 segmentation_tcp4 = 1, segmentation_tcp6 = 4;

void count(std::atomic<u64>& counter, u64 by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
}

u32 order_for_headers(u16 entries) {
    return entries * sizeof(net_header) <= page_size ? 0 : 2;
}

}  // namespace

result<void> net_queue_pair::open(device& of, u16 number, u32 cpu, usize header_size) {
    static_assert(largest_queue * sizeof(net_header) <= page_size << 2);
    _device = &of;
    _header_size = header_size;
    const u16 message = TRY(of.connect(&on_interrupt, this, cpu));
    const u16 index = static_cast<u16>(number * 2);
    _receive_doorbell = TRY(of.add_queue(index, _receive, queue_entries, message));
    _transmit_doorbell =
        TRY(of.add_queue(static_cast<u16>(index + 1), _transmit, queue_entries, message));
    page* headers = TRY(alloc_pages(order_for_headers(_transmit.size())));
    _headers = static_cast<net_header*>(page_data(*headers));
    _receive.disable_interrupts();
    _transmit.disable_interrupts();
    return {};
}

result<void> net_queue_pair::start(net::net_receiver& receiver, u32 cpu, errand chore,
                                   void* context) {
    _receiver = &receiver;
    _errand = chore;
    _errand_context = context;
    TRY(start_kernel_thread("virtio-net", &run_thread, this, cpu));
    return {};
}

void net_queue_pair::add_counters(net::device_counters& to) const {
    to.received_packets += _received_packets;
    to.received_bytes += _received_bytes;
    to.received_dropped += _received_dropped;
    to.sent_packets += _sent_packets;
    to.sent_bytes += _sent_bytes;
    to.sent_dropped += _sent_dropped;
}

void net_queue_pair::wake() {
    _work.store(true, std::memory_order_release);
    _thread_queue.wake();
}

void net_queue_pair::serve() {
    refill();
    for (;;) {
        // Before looking at anything, so that a wake-up from now on makes another round.
        _work.exchange(false, std::memory_order_seq_cst);
        _errand(_errand_context);
        const u32 frames = receive_batch();
        send_backlog();
        if (frames == 0 && !wait_for_work()) {
            log_error("virtio-net: the device broke its rings; it is not used any more");
            _device->fail();
            return;
        }
    }
}

// Sleeps until the device has something; false when it never will.
bool net_queue_pair::wait_for_work() {
    if (_receive.broken() || _transmit.broken()) {
        return false;
    }
    if (!_receive.enable_interrupts()) {
        const bool starved = _receive.free_descriptors() > refill_step;
        (void)wait_until(
            _thread_queue, [this] { return _work.load(std::memory_order_acquire); },
            starved ? deadline_after(memory_retry) : never, wait_mode::uninterruptible);
    }
    _receive.disable_interrupts();
    refill();
    return true;
}

u32 net_queue_pair::receive_batch() {
    u32 frames = 0;
    queue::completion done;
    while (frames < frames_of_a_batch && _receive.take(done)) {
        deliver(ref<chunk>::adopt(static_cast<chunk*>(done.token)), done.length);
        ++frames;
        if (_receive.free_descriptors() >= refill_step) {
            refill();
        }
    }
    if (frames != 0) {
        _receiver->batch_end();
    }
    return frames;
}

bool net_queue_pair::give_buffer() {
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

void net_queue_pair::refill() {
    while (_receive.free_descriptors() >= 2 && give_buffer()) {
    }
    if (_receive.publish()) {
        _receive_doorbell.ring();
    }
}

void net_queue_pair::deliver(ref<chunk> first, u32 length) {
    const auto header = *reinterpret_cast<const net_header*>(first->data());
    const u32 merged =
        _header_size == sizeof(net_header) && header.buffers > 1 ? header.buffers - 1u : 0;
    if (length < _header_size || length > first->capacity()) {
        count(_received_dropped);
        return;
    }
    auto made = packet_buffer::make_received(std::move(first), _header_size, length - _header_size);
    const bool whole = made.ok() && append_merged(*made.value(), merged);
    if (!whole) {
        count(_received_dropped);
        return;
    }
    packet_ptr frame = made.take();
    frame->checksum_valid = (header.flags & (flag_needs_checksum | flag_checksum_valid)) != 0;
    count(_received_packets);
    count(_received_bytes, frame->size());
    _receiver->deliver(std::move(frame));
}

// Adds the further buffers of a frame that did not fit one. They are taken off the ring even when
// the frame cannot be kept.
bool net_queue_pair::append_merged(packet_buffer& frame, u32 further) {
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

void net_queue_pair::fill_header(net_header& header, const packet_buffer& frame) const {
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

usize net_queue_pair::fill_segments(segment* segments, net_header& header,
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

bool net_queue_pair::put_on_ring(packet_buffer& frame) {
    segment segments[most_segments];
    if (_transmit.free_descriptors() == 0) {
        return false;
    }
    net_header& header = _headers[_transmit.next_head()];
    const usize used = fill_segments(segments, header, frame);
    fill_header(header, frame);
    if (!_transmit.add({segments, used}, &frame).ok()) {
        return false;
    }
    count(_sent_packets);
    count(_sent_bytes, frame.size());
    return true;
}

void net_queue_pair::reap_transmitted(net::packet_queue& finished) {
    queue::completion done;
    while (_transmit.take(done)) {
        finished.push_back(packet_ptr(static_cast<packet_buffer*>(done.token)));
    }
}

void net_queue_pair::tell_device(bool more) {
    if (!more && _transmit.publish()) {
        _transmit_doorbell.ring();
    }
}

void net_queue_pair::keep_or_drop(packet_ptr frame) {
    if (_backlog.count() >= longest_backlog) {
        count(_sent_dropped);
        return;
    }
    _backlog.push_back(std::move(frame));
}

void net_queue_pair::transmit(packet_ptr frame, bool more) {
    net::packet_queue finished;  // deleted after the lock is released
    lock_guard guard(_transmit_lock);
    reap_transmitted(finished);
    if (_backlog.empty() && put_on_ring(*frame)) {
        frame.leak();
        tell_device(more);
        return;
    }
    keep_or_drop(std::move(frame));
    tell_device(false);
    if (_transmit.enable_interrupts()) {
        wake();
    }
}

// In the thread: frames that found the ring full, and what the device is done with.
void net_queue_pair::send_backlog() {
    net::packet_queue finished;
    lock_guard guard(_transmit_lock);
    reap_transmitted(finished);
    while (!_backlog.empty() && put_on_ring(*_backlog.front())) {
        _backlog.pop_front().leak();
    }
    tell_device(false);
    if (_backlog.empty()) {
        _transmit.disable_interrupts();
    } else if (_transmit.enable_interrupts()) {
        wake();
    }
}

}  // namespace kiln::virtio

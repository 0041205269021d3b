// kernel only
// virtio-net (VIRTIO 1.2, 5.1): one receive and one transmit queue.
//
// Receiving: a thread takes frames off the ring, refills it and hands them to the stack. While it
// works the device does not interrupt; an interrupt only wakes it.
// Sending: the caller puts the frame on the ring itself. Finished frames are taken off by whoever
// sends next or by the thread; the device interrupts for one only while frames wait for room.
// Locks: `_transmit_lock`, before the packet pools'; never taken by the interrupt handler.
#include <algorithm>

#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"
#include "core/wait_queue.hh"
#include "drivers/virtio/device.hh"
#include "drivers/virtio/drivers.hh"
#include "net/net_device.hh"

namespace kiln::virtio {
namespace {

using net::chunk;
using net::packet_buffer;
using net::packet_ptr;

namespace net_feature {
constexpr u64 checksum = u64{1} << 0, guest_checksum = u64{1} << 1, mtu = u64{1} << 3,
              mac = u64{1} << 5, tso4 = u64{1} << 11, tso6 = u64{1} << 12,
              merge_buffers = u64{1} << 15, status = u64{1} << 16, any_layout = u64{1} << 27;
constexpr u64 wanted =
    checksum | guest_checksum | mtu | mac | tso4 | tso6 | merge_buffers | status | any_layout;
}  // namespace net_feature

constexpr u32 config_mac = 0, config_status = 6, config_mtu = 10;
constexpr u16 status_link_up = 1;
constexpr u16 receive_index = 0, transmit_index = 1;
constexpr u16 queue_entries = 256;
constexpr u32 frames_of_a_batch = 64;
constexpr usize longest_backlog = 256;
constexpr u16 refill_step = 16;
constexpr u64 memory_retry = 10 * ns_per_ms;
constexpr usize most_segments = packet_buffer::max_fragments + 2;

struct net_header {
    u8 flags;
    u8 segmentation;
    u16 header_size;
    u16 segment_size;
    u16 checksum_start;
    u16 checksum_offset;
    u16 buffers;  // absent from legacy devices that do not merge
};
static_assert(sizeof(net_header) == 12);
constexpr usize short_header = 10;
constexpr u8 flag_needs_checksum = 1, flag_checksum_valid = 2;
constexpr u8 segmentation_tcp4 = 1, segmentation_tcp6 = 4;

class network final : public net::net_device {
public:
    explicit network(pci::function& function) : _device(function) {}

    result<void> open();
    void give_up() { _device.fail(); }

    net::mac_address mac() const override { return _mac; }
    u32 mtu() const override { return _mtu; }
    u32 features() const override;
    bool link_up() const override { return _link_up.load(std::memory_order_relaxed); }
    net::device_counters counters() const override;
    void transmit(packet_ptr frame, bool more) override;
    void start(net::net_receiver& receiver) override;

private:
    static void on_interrupt(void* context) { static_cast<network*>(context)->wake(); }
    static void on_config_change(void* context);
    static void run_thread(void* context) { static_cast<network*>(context)->serve(); }

    void wake();
    void serve();
    u32 receive_batch();
    bool wait_for_work();
    void refill();
    bool give_buffer();
    void deliver(ref<chunk> first, u32 length);
    bool append_merged(packet_buffer& frame, u32 count);
    void check_link();

    usize headers_size() const { return _header_size; }
    bool put_on_ring(packet_buffer& frame);
    void fill_header(net_header& header, const packet_buffer& frame) const;
    usize fill_segments(segment* segments, net_header& header, const packet_buffer& frame) const;
    void reap_transmitted(net::packet_queue& finished);
    void send_backlog();
    void keep_or_drop(packet_ptr frame);
    void tell_device(bool more);

    device _device;
    queue _receive;
    queue _transmit;
    doorbell _receive_doorbell;
    doorbell _transmit_doorbell;
    usize _header_size = sizeof(net_header);
    net::mac_address _mac{};
    u32 _mtu = 1500;
    std::atomic<bool> _link_up{true};
    net::net_receiver* _receiver = nullptr;

    std::atomic<bool> _work{false};
    std::atomic<bool> _config_changed{false};
    wait_queue _thread_queue;

    spinlock _transmit_lock;
    net_header* _headers = nullptr;  // by head descriptor
    net::packet_queue _backlog;

    std::atomic<u64> _received_packets{0}, _received_bytes{0}, _received_dropped{0};
    std::atomic<u64> _sent_packets{0}, _sent_bytes{0}, _sent_dropped{0};
};

void count(std::atomic<u64>& counter, u64 by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
}

result<void> network::open() {
    TRY(_device.open());
    TRY(_device.begin(net_feature::wanted));
    if (_device.legacy() && !_device.has(net_feature::merge_buffers)) {
        _header_size = short_header;
    }
    const u16 receive_message = TRY(_device.connect(&on_interrupt, this, 0));
    _receive_doorbell = TRY(_device.add_queue(receive_index, _receive, queue_entries, receive_message));
    _transmit_doorbell =
        TRY(_device.add_queue(transmit_index, _transmit, queue_entries, receive_message));
    if (_device.has(net_feature::status)) {
        _device.set_config_message(TRY(_device.connect(&on_config_change, this, 0)));
    }
    page* headers = TRY(alloc_pages(_transmit.size() > 256 ? 2 : 0));
    _headers = static_cast<net_header*>(page_data(*headers));
    _device.read_config(config_mac, &_mac, sizeof(_mac));
    if (_device.has(net_feature::mtu)) {
        _mtu = std::clamp<u32>(_device.config<u16>(config_mtu), 68, 65535);
    }
    _receive.disable_interrupts();
    _transmit.disable_interrupts();
    _device.start();
    check_link();
    return {};
}

u32 network::features() const {
    namespace f = net::device_feature;
    const u32 sum = _device.has(net_feature::checksum) ? f::transmit_checksum : 0;
    // Segmentation stands on checksums.
    return sum == 0 ? 0
                    : sum | (_device.has(net_feature::tso4) ? f::tso4 : 0) |
                          (_device.has(net_feature::tso6) ? f::tso6 : 0);
}

net::device_counters network::counters() const {
    return {_received_packets, _received_bytes, _received_dropped,
            _sent_packets,     _sent_bytes,     _sent_dropped};
}

void network::start(net::net_receiver& receiver) {
    _receiver = &receiver;
    auto made = start_kernel_thread("virtio-net", &run_thread, this);
    if (!made.ok()) {
        log_error("virtio-net: no memory for its thread");
    }
}

void network::on_config_change(void* context) {
    auto& self = *static_cast<network*>(context);
    self._config_changed.store(true, std::memory_order_release);
    self.wake();
}

void network::wake() {
    _work.store(true, std::memory_order_release);
    _thread_queue.wake();
}

void network::check_link() {
    if (!_device.has(net_feature::status)) {
        return;
    }
    const bool up = (_device.config<u16>(config_status) & status_link_up) != 0;
    if (_link_up.exchange(up) != up && _receiver != nullptr) {
        _receiver->link_changed(up);
    }
}

void network::serve() {
    refill();
    for (;;) {
        // Before looking at anything, so that a wake-up from now on makes another round.
        _work.exchange(false, std::memory_order_seq_cst);
        if (_config_changed.exchange(false, std::memory_order_acquire)) {
            check_link();
        }
        const u32 frames = receive_batch();
        send_backlog();
        if (frames == 0 && !wait_for_work()) {
            log_error("virtio-net: the device broke its rings; it is not used any more");
            _device.fail();
            return;
        }
    }
}

// Sleeps until the device has something; false when it never will.
bool network::wait_for_work() {
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

u32 network::receive_batch() {
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

bool network::give_buffer() {
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
    const bool apart = _header_size == short_header;
    const auto parts = apart ? std::span<const segment>(split) : std::span<const segment>(whole);
    if (!_receive.add(parts, buffer).ok()) {
        buffer->drop_reference();
        return false;
    }
    return true;
}

void network::refill() {
    while (_receive.free_descriptors() >= 2 && give_buffer()) {
    }
    if (_receive.publish()) {
        _receive_doorbell.ring();
    }
}

void network::deliver(ref<chunk> first, u32 length) {
    const auto header = *reinterpret_cast<const net_header*>(first->data());
    const u32 merged = _header_size == sizeof(net_header) && header.buffers > 1 ? header.buffers - 1u : 0;
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

// Adds the further buffers of a frame that did not fit one. They are taken off the ring even when the
// frame cannot be kept.
bool network::append_merged(packet_buffer& frame, u32 further) {
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

void network::fill_header(net_header& header, const packet_buffer& frame) const {
    const net::transmit_offload& asked = frame.offload;
    using segmentation = net::transmit_offload::segmentation;
    header = {};
    if (asked.checksum) {
        header.flags = flag_needs_checksum;
        header.checksum_start = asked.checksum_start;
        header.checksum_offset = asked.checksum_offset;
    }
    if (asked.kind != segmentation::none) {
        header.segmentation = asked.kind == segmentation::tcp4 ? segmentation_tcp4 : segmentation_tcp6;
        header.segment_size = asked.segment_size;
        header.header_size = asked.header_size;
    }
}

usize network::fill_segments(segment* segments, net_header& header, const packet_buffer& frame) const {
    usize used = 0;
    segments[used++] = {dma_address(&header), static_cast<u32>(_header_size), false};
    if (frame.linear_size() != 0) {
        segments[used++] = {dma_address(frame.data()), static_cast<u32>(frame.linear_size()), false};
    }
    for (const net::fragment& part : frame.fragments()) {
        segments[used++] = {dma_address(part.data), part.length, false};
    }
    return used;
}

bool network::put_on_ring(packet_buffer& frame) {
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

void network::reap_transmitted(net::packet_queue& finished) {
    queue::completion done;
    while (_transmit.take(done)) {
        finished.push_back(packet_ptr(static_cast<packet_buffer*>(done.token)));
    }
}

void network::tell_device(bool more) {
    if (!more && _transmit.publish()) {
        _transmit_doorbell.ring();
    }
}

void network::keep_or_drop(packet_ptr frame) {
    if (_backlog.count() >= longest_backlog) {
        count(_sent_dropped);
        return;
    }
    _backlog.push_back(std::move(frame));
}

void network::transmit(packet_ptr frame, bool more) {
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
void network::send_backlog() {
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

}  // namespace

result<void> start_net(pci::function& function) {
    // Never freed: from here on its interrupt handler may run.
    network* made = TRY(make_unique<network>(function)).leak();
    auto outcome = made->open();
    if (!outcome.ok()) {
        made->give_up();
        return outcome;
    }
    net::register_net_device(*made);
    return {};
}

}  // namespace kiln::virtio

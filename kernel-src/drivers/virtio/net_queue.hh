// A pair of virtio-net queues and the thread that serves it (VIRTIO 1.2, 5.1.6).
//
// Receiving: the thread takes frames off the ring, refills it and hands them to the stack. While it
// works the device does not interrupt; an interrupt only wakes it.
// Sending: the caller puts the frame on the ring itself. Finished frames are taken off by whoever
// sends next or by the thread; the device interrupts for one only while frames wait for room.
// Locks: `_transmit_lock`, before the packet pools'; never taken by the interrupt handler.
#pragma once

#include <atomic>

#include "core/spinlock.hh"
#include "core/wait_queue.hh"
#include "drivers/virtio/device.hh"
#include "net/net_device.hh"

namespace kiln::virtio {

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
inline constexpr usize short_net_header = 10;

class net_queue_pair : noncopyable {
public:
    // Called by the thread before it sleeps and after it wakes, e.g. to look at the configuration.
    using errand = void (*)(void* context);

    // Makes queues 2 × `number` and the one after it; its interrupts go to `cpu`.
    result<void> open(device& of, u16 number, u32 cpu, usize header_size);
    // Starts the thread; on `cpu` unless that is max_cpus.
    result<void> start(net::net_receiver& receiver, u32 cpu, errand chore, void* context);

    void transmit(net::packet_ptr frame, bool more);
    // Makes the thread look round. Context: any.
    void wake();
    void add_counters(net::device_counters& to) const;

private:
    static void on_interrupt(void* context) { static_cast<net_queue_pair*>(context)->wake(); }
    static void run_thread(void* context) { static_cast<net_queue_pair*>(context)->serve(); }

    void serve();
    u32 receive_batch();
    bool wait_for_work();
    void refill();
    bool give_buffer();
    void deliver(ref<net::chunk> first, u32 length);
    bool append_merged(net::packet_buffer& frame, u32 further);

    bool put_on_ring(net::packet_buffer& frame);
    void fill_header(net_header& header, const net::packet_buffer& frame) const;
    usize fill_segments(segment* segments, net_header& header,
                        const net::packet_buffer& frame) const;
    void reap_transmitted(net::packet_queue& finished);
    void send_backlog();
    void keep_or_drop(net::packet_ptr frame);
    void tell_device(bool more);

    device* _device = nullptr;
    queue _receive;
    queue _transmit;
    doorbell _receive_doorbell;
    doorbell _transmit_doorbell;
    usize _header_size = sizeof(net_header);
    net::net_receiver* _receiver = nullptr;
    errand _errand = nullptr;
    void* _errand_context = nullptr;

    std::atomic<bool> _work{false};
    wait_queue _thread_queue;

    spinlock _transmit_lock;
    net_header* _headers = nullptr;  // by head descriptor
    net::packet_queue _backlog;

    std::atomic<u64> _received_packets{0}, _received_bytes{0}, _received_dropped{0};
    std::atomic<u64> _sent_packets{0}, _sent_bytes{0}, _sent_dropped{0};
};

}  // namespace kiln::virtio

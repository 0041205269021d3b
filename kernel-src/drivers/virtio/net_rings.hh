// A pair of virtio-net queues as the rings of a network card (VIRTIO 1.2, 5.1.6).
#pragma once

#include "drivers/nic/rings.hh"
#include "drivers/virtio/doorbell.hh"
#include "drivers/virtio/queue.hh"

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

class net_rings final : public nic::rings {
public:
    static constexpr u16 entries = 256;

    queue& receive_queue() { return _receive; }
    queue& transmit_queue() { return _transmit; }
    void set_doorbells(doorbell receive, doorbell transmit) {
        _receive_doorbell = receive;
        _transmit_doorbell = transmit;
    }
    // When both queues have their memory.
    result<void> open(usize header_size);

    nic::received take(net::packet_ptr& frame) override;
    bool has_received() const override { return _receive.has_finished(); }
    bool refill() override;
    nic::placed put(net::packet_buffer& frame) override;
    bool reap(net::packet_queue& sent) override;
    bool has_sent() const override { return _transmit.has_finished(); }
    void tell_device() override;
    void allow_interrupts(bool sent) override;
    void forbid_interrupts() override { _receive.disable_interrupts(); }
    void clear() override;

private:
    bool give_buffer();
    nic::received judge(ref<net::chunk> first, u32 length, net::packet_ptr& frame);
    bool append_merged(net::packet_buffer& frame, u32 further);
    void fill_header(net_header& header, const net::packet_buffer& frame) const;
    usize fill_segments(segment* segments, net_header& header,
                        const net::packet_buffer& frame) const;

    queue _receive;
    queue _transmit;
    doorbell _receive_doorbell;
    doorbell _transmit_doorbell;
    usize _header_size = sizeof(net_header);
    net_header* _headers = nullptr;  // by head descriptor
    bool _wants_sent = false;        // interrupts of frames sent
};

}  // namespace kiln::virtio

// What the network stack needs of a network card. drivers/ implements net_device; the stack gives it
// a receiver and calls transmit.
//
// Sending: transmit takes a whole Ethernet frame (linear part, then fragments) and never blocks for
// the device: the driver queues a bounded number when its ring is full and drops beyond that. It is
// called from any CPU, in thread context, with no spin lock held; the packet is deleted when the
// device is done with it. A packet asks for checksum or segmentation only when `features()` has it.
//
// Receiving: a thread of the driver (one a CPU or one a queue) takes frames off the ring, makes each
// a packet with packet_buffer::make_received (merged buffers are appended), and calls
// receiver->deliver for each and receiver->batch_end when the ring is empty or after some 64 frames.
// Ring buffers come from chunk::allocate_for_receive.
#pragma once

#include <string_view>

#include "net/packet_buffer.hh"

namespace kiln::net {

struct mac_address {
    u8 bytes[6];
    bool operator==(const mac_address&) const = default;
    bool is_multicast() const { return (bytes[0] & 1) != 0; }
};
inline constexpr mac_address broadcast_mac = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

namespace device_feature {
inline constexpr u32 transmit_checksum = 1, tso4 = 2, tso6 = 4;
}

// The stack's side. Context: threads of the driver.
class net_receiver {
public:
    virtual void deliver(packet_ptr frame) = 0;
    virtual void batch_end() = 0;
    virtual void link_changed(bool up) = 0;

protected:
    ~net_receiver() = default;
};

struct device_counters {
    u64 received_packets, received_bytes, received_dropped;
    u64 sent_packets, sent_bytes, sent_dropped;
};

class net_device : noncopyable {
public:
    virtual ~net_device() = default;

    virtual mac_address mac() const = 0;
    // Bytes of an IP packet that fit a frame, 1500 as a rule.
    virtual u32 mtu() const = 0;
    // Bits of device_feature.
    virtual u32 features() const = 0;
    virtual bool link_up() const = 0;
    virtual device_counters counters() const = 0;
    // By its pairs of queues, where it has several.
    virtual u32 queue_count() const { return 1; }
    virtual device_counters queue_counters(u32) const { return counters(); }
    virtual std::string_view driver() const { return {}; }

    // Sends a frame. With `more` another follows at once, so that telling the device can wait.
    virtual void transmit(packet_ptr frame, bool more) = 0;
    // Starts receiving: frames go to `receiver` from now on. Called once.
    virtual void start(net_receiver& receiver) = 0;

    list_node link;
};

// Drivers register at boot; devices never go. The stack takes all that are registered when it starts,
// names them eth0, eth1 … in this order, and also takes those that come later.
void register_net_device(net_device& device);

}  // namespace kiln::net

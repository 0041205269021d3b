// One queue of the card: its rings with the registers that belong to them, and the thread's side.
//
// Each queue has two interrupts where there are enough, so that what was sent interrupts only when
// frames wait for room; else all share one.
#pragma once

#include "drivers/nic/queue_pair.hh"
#include "drivers/vmxnet3/receive_rings.hh"
#include "drivers/vmxnet3/transmit_rings.hh"

namespace kiln::vmxnet3 {

class queue final : public nic::rings {
public:
    static constexpr usize total_bytes = receive_rings::total_bytes + transmit_rings::total_bytes;

    struct interrupts {
        u8 received;
        u8 sent;
    };

    // `memory` holds `total_bytes`, zeroed, and begins a page.
    void init(std::byte* memory, u32 number, u32 queues, interrupts by, volatile u8* registers);
    void describe(transmit_queue& sends, receive_queue& receives);
    // Tells the device how far buffers are given; after each activation.
    void announce_buffers();

    nic::received take(net::packet_ptr& frame) override { return _receive.take(frame); }
    bool has_received() const override { return _receive.has_received(); }
    bool refill() override;
    nic::placed put(net::packet_buffer& frame) override { return _transmit.put(frame); }
    bool reap(net::packet_queue& sent) override { return _transmit.reap(sent); }
    bool has_sent() const override { return _transmit.has_sent(); }
    void tell_device() override;
    void allow_interrupts(bool sent) override;
    void clear() override;

private:
    void write(u32 where, u32 value);

    volatile u8* _registers = nullptr;
    u32 _number = 0;
    interrupts _by{};
    const u8* _wants_place = nullptr;
    receive_rings _receive;
    transmit_rings _transmit;
};

}  // namespace kiln::vmxnet3

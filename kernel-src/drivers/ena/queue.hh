// A pair of the adapter's queues as the rings of a network card: one interrupt for both.
#pragma once

#include <atomic>

#include "core/clock.hh"
#include "drivers/ena/receive_ring.hh"
#include "drivers/ena/transmit_ring.hh"

namespace kiln::ena {

class queue final : public nic::rings {
public:
    result<void> allocate(machine& in, const plan& by, u64 reach);
    // How long a frame may take to be sent (never: as long as it likes), and how many may take
    // longer.
    // Context: any.
    void set_patience(u64 longest_send, u32 most_overdue);

    // Where the device has put the pair, after each reset. Afterwards it is empty.
    struct place {
        u32 transmit_doorbell;
        u64 transmit_lines;
        u32 receive_doorbell;
        u32 interrupt_register;
        u16 receive_index;
    };
    void open(const place& at);

    u16 receive_index() const { return _place.receive_index; }
    const transmit_ring& transmits() const { return _transmit; }
    const receive_ring& receives() const { return _receive; }

    nic::received take(net::packet_ptr& frame) override { return _receive.take(frame); }
    bool has_received() const override { return _receive.has_received(); }
    bool refill() override;
    nic::placed put(net::packet_buffer& frame) override { return _transmit.put(frame); }
    bool reap(net::packet_queue& sent) override { return _transmit.reap(sent); }
    bool has_sent() const override { return _transmit.has_sent(); }
    bool is_overdue() override;
    void tell_device() override { _transmit.tell_device(); }
    void allow_interrupts(bool sent) override;
    void clear() override;

private:
    machine* _machine = nullptr;
    plan _plan;
    place _place{};
    std::atomic<u64> _longest_send{never};
    std::atomic<u32> _most_overdue{0};
    u64 _next_look = 0;
    bool _delays_told = false;
    receive_ring _receive;
    transmit_ring _transmit;
};

}  // namespace kiln::ena

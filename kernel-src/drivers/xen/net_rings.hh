// A pair of rings of a virtual network interface as those of a network card. One event channel serves
// both.
#pragma once

#include <atomic>

#include "drivers/xen/receive_ring.hh"
#include "drivers/xen/send_ring.hh"

namespace kiln::xen {

class net_rings final : public nic::rings {
public:
    result<void> open(grant_table& in, u16 domain);
    // The backend is told by `bell` from now on.
    void connect(doorbell bell, bool scatter);
    grant_reference receive_page() const { return _receive.ring_page(); }
    grant_reference send_page() const { return _send.ring_page(); }

    nic::received take(net::packet_ptr& frame) override { return _receive.take(frame); }
    bool has_received() const override { return _receive.has_received(); }
    bool refill() override;
    // Frames are refused while the backend has not joined, as nobody takes them off the ring.
    void set_joined(bool joined) { _joined.store(joined, std::memory_order_relaxed); }
    nic::placed put(net::packet_buffer& frame) override {
        return _joined.load(std::memory_order_relaxed) ? _send.put(frame) : nic::placed::refused;
    }
    bool reap(net::packet_queue& sent) override { return _send.reap(sent); }
    bool has_sent() const override { return _send.has_sent(); }
    void tell_device() override;
    void allow_interrupts(bool sent) override;
    void clear() override;

private:
    receive_ring _receive;
    send_ring _send;
    doorbell _bell;
    std::atomic<bool> _joined{true};
};

}  // namespace kiln::xen

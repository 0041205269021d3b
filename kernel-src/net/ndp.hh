// What an interface does for its own IPv6 addresses: the link-local one at start, those that a router's
// advertisements allow, each after a check that nobody has it; and the default route.
// Locks: none of its own; the few words of state are written by the receiving thread and the stack's
// thread, atomically. Addresses, routes and timers have their own locks. Context: threads.
#pragma once

#include "net/interface.hh"

namespace kiln::net {

class neighbour_discovery : noncopyable {
public:
    explicit neighbour_discovery(interface& on);
    ~neighbour_discovery();

    // Takes a link-local address and asks for routers.
    void start();
    // Takes an address of its own (static configuration) through the check.
    void begin_address(const ip_prefix& prefix, u64 preferred, u64 valid);
    // Another machine has a tentative address.
    void duplicate(const ip_address& address);
    void advertisement(packet_buffer& packet);

private:
    static void timer_fired(net_timer& expired);
    void on_timer();
    void arm(u64 deadline);
    void take_prefix(std::span<const std::byte> body);
    ip_address address_in(const ip_address& network) const;

    interface& _on;
    std::atomic<u32> _solicits_left{0};
    std::atomic<u64> _router_until{0};
    net_timer _timer{&timer_fired};
};

}  // namespace kiln::net

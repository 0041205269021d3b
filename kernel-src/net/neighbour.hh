// The neighbour cache of an interface: which link-layer address an IP address on the link has. ARP
// (RFC 826) and Neighbor Discovery (RFC 4861) fill it; both follow RFC 4861's states.
//
// Packets for an address that is not yet known wait here, a few at most. Entries are shared by
// reference count, so that a socket keeps the one it uses.
// Lock: the table's spin lock guards the entries and is never held while something is sent.
// Context: threads.
#pragma once

#include "core/spinlock.hh"
#include "net/address.hh"
#include "net/net_device.hh"
#include "net/timer_queue.hh"

namespace kiln::net {

class interface;

enum class neighbour_state : u8 { incomplete, reachable, stale, probing, failed };

struct neighbour : ref_counted<neighbour> {
    ip_address address;
    mac_address mac{};
    neighbour_state state = neighbour_state::failed;
    u8 tries = 0;
    u64 confirmed_at = 0;
    packet_queue waiting;
    list_node link;
};

class neighbour_table : noncopyable {
public:
    explicit neighbour_table(interface& owner);
    ~neighbour_table();

    // The address is known: fills in `to`. Otherwise takes the packet, asks, and sends it later.
    bool resolve(const ip_address& address, packet_ptr& packet, mac_address& to);
    // Somebody said who has the address. `create`: also when nobody here has asked. `override`:
    // replaces what is known.
    void learn(const ip_address& address, const mac_address& mac, bool create, bool confirmed,
               bool override_known = true);
    // Forgets everything, e.g. after the link was down.
    void clear();

    struct shown {
        ip_address address;
        mac_address mac;
        neighbour_state state;
    };
    // For /proc/net/arp; returns how many there are.
    usize snapshot(std::span<shown> to);

private:
    static void tick(net_timer& expired);
    void on_tick();
    neighbour* find(const ip_address& address);
    ref<neighbour> make_spare(const ip_address& address);
    neighbour* find_or_insert(const ip_address& address, ref<neighbour>& spare);
    void solicit(const ip_address& address, const mac_address* known);
    void start_tick();

    interface& _owner;
    spinlock _lock;
    list<neighbour, &neighbour::link> _entries;
    usize _count = 0;
    net_timer _tick{&tick};
    bool _ticking = false;
};

}  // namespace kiln::net

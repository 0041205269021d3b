// A network interface: a card (or loopback) with its addresses and neighbours. Frames that arrive are
// told apart here; packets that leave get their link-layer header here.
//
// Interfaces are made at start and never go. Lock: `_lock` guards the addresses; it is never held
// while something is sent. Context: threads.
#pragma once

#include "net/neighbour.hh"
#include "net/net_device.hh"

namespace kiln::net {

class network_stack;

struct interface_address {
    ip_prefix prefix;
    bool tentative = false;   // duplicate address detection runs (RFC 4862, 5.4)
    bool dynamic = false;     // from DHCP or router advertisements
    u64 preferred_until = never;
    u64 valid_until = never;
};

class interface final : public net_receiver, noncopyable {
public:
    static constexpr usize max_addresses = 12;

    // Without a device: loopback.
    interface(network_stack& stack, std::string_view name, u32 index, net_device* device);

    network_stack& stack() { return _stack; }
    std::string_view name() const { return _name; }
    u32 index() const { return _index; }
    bool is_loopback() const { return _device == nullptr; }
    mac_address mac() const { return _mac; }
    u32 mtu() const { return _mtu; }
    void set_mtu(u32 mtu) { _mtu = mtu; }
    u32 features() const { return _device != nullptr ? _device->features() : 0; }
    bool is_up() const { return _up.load(std::memory_order_relaxed); }
    void set_up(bool up) { _up = up; }
    bool running() const { return is_up() && (_device == nullptr || _device->link_up()); }
    net_device* device() { return _device; }
    device_counters counters() const;

    // The address list; err::exist, err::nospc, err::addrnotavail.
    result<void> add_address(const interface_address& added);
    result<void> remove_address(const ip_address& address);
    bool has_address(const ip_address& address, bool tentative_too = false);
    // Ends the tentative state.
    void confirm_address(const ip_address& address);
    // Drops addresses whose lifetime is over.
    void expire_addresses(u64 time);
    usize addresses(std::span<interface_address> to);
    bool is_broadcast(const ip_address& address);
    // The best source for packets to `destination` (RFC 6724 in small); unspecified if there is none.
    ip_address source_for(const ip_address& destination);

    neighbour_table& neighbours() { return _neighbours; }

    // Sends an IP packet to a neighbour on the link, to a group or to everybody.
    void send(packet_ptr packet, const ip_address& next_hop, bool more = false);
    // Puts the Ethernet header in front and sends.
    void send_frame(packet_ptr packet, const mac_address& to, u16 type, bool more = false);

    void deliver(packet_ptr frame) override;
    void batch_end() override;
    void link_changed(bool up) override;

private:
    interface_address* find(const ip_address& address);
    u32 source_score(const interface_address& candidate, const ip_address& destination) const;

    network_stack& _stack;
    char _name[16]{};
    u32 _index;
    net_device* _device;
    mac_address _mac{};
    u32 _mtu;
    std::atomic<bool> _up{false};
    spinlock _lock;
    interface_address _addresses[max_addresses];
    usize _address_count = 0;
    neighbour_table _neighbours;
    std::atomic<u64> _loopback_packets{0};
    std::atomic<u64> _loopback_bytes{0};
};

// An address together with the route to its link, and the way to everywhere else.
result<void> add_interface_address(interface& to, const interface_address& added);
void remove_interface_address(interface& from, const ip_prefix& gone);
result<void> add_default_route(interface& out, const ip_address& gateway, bool dynamic);

// arp.cc
void arp_input(interface& on, packet_ptr packet);
void arp_request(interface& on, const ip_address& target, const mac_address* known);
void arp_announce(interface& on, const ip_address& address);
// ndp.cc
void ndp_solicit(interface& on, const ip_address& target, const mac_address* known);

// The link-layer address of an IP multicast group (RFC 1112 6.4, RFC 2464 7).
mac_address multicast_mac(const ip_address& group);

}  // namespace kiln::net

// One network stack: its interfaces, routes, timers and flows. The kernel has one; tests make several
// and join them.
//
// Work that is put off until the caller holds no flow's lock (loopback packets, flows with something
// in their channel) is done by run_pending, which every path calls when it lets a lock go, a driver
// after each batch, and the stack's thread after timers. One thread at a time runs it, the others
// leave their work to that one.
// Locks: _link_lock guards the list of interfaces, which only grows. Context: threads.
#pragma once

#include "net/configuration.hh"
#include "net/flow_table.hh"
#include "net/interface.hh"
#include "net/ip.hh"
#include "net/ndp.hh"
#include "net/port_table.hh"
#include "net/raw.hh"
#include "net/reassembly.hh"
#include "net/route.hh"
#include "net/timer_queue.hh"

namespace kiln::net {

class dhcp_client;
class flow;

// Counters that /proc/net/snmp and netstat show.
struct stack_counters {
    std::atomic<u64> tcp_active_opens{0}, tcp_passive_opens{0}, tcp_attempt_fails{0},
        tcp_resets_received{0}, tcp_segments_received{0}, tcp_segments_sent{0},
        tcp_retransmitted{0}, tcp_errors{0}, tcp_resets_sent{0}, tcp_established{0},
        udp_received{0}, udp_no_port{0}, udp_errors{0}, udp_sent{0}, ip_received{0},
        ip_discarded{0}, ip_sent{0}, listen_overflows{0}, syn_cookies_sent{0}, channel_drops{0};
};

class network_stack : noncopyable {
public:
    static constexpr usize max_interfaces = 16;

    network_stack();
    ~network_stack();
    // Makes loopback; to be called once before anything else.
    result<void> start();

    result<interface*> add_device(net_device& device);
    usize interface_count() const { return _interface_count.load(std::memory_order_acquire); }
    interface& interface_at(usize position) { return *_interfaces[position]; }
    interface* interface_by_index(u32 index);
    interface* interface_by_name(std::string_view name);
    interface& loopback() { return *_interfaces[0]; }

    // Whether an address is one of ours (all of 127/8 is).
    bool is_local(const ip_address& address);
    // The way to a destination. `source` unspecified: chosen here. err::netunreach, err::addrnotavail.
    result<route> find_route(const ip_address& destination, const ip_address& source,
                             u32 interface_index = 0);
    // Moves whenever a route found before may be wrong.
    u32 route_generation() const { return _route_generation.load(std::memory_order_acquire); }
    void routes_changed() { _route_generation.fetch_add(1, std::memory_order_acq_rel); }

    // Puts fixed addresses on an interface, or starts DHCP and router discovery.
    result<void> configure(interface& which, const configuration& wanted);
    // Whether an interface other than loopback has an address to use.
    bool configured();
    wait_queue& configuration_queue() { return _configured; }
    void address_configured() { _configured.wake_all(); }
    std::span<const ip_address> name_servers() const {
        return {_name_servers, _name_server_count};
    }
    void set_name_servers(std::span<const ip_address> servers);

    // From loopback's send: delivered by run_pending.
    void loop_back(packet_ptr packet);
    // The flow has something to do; `news`: that its users may wait for.
    void request_attention(flow& which, bool news);
    void run_pending();

    neighbour_discovery& discovery_of(interface& on) { return *_ndp[on.index() - 1]; }
    // An IPv4 packet that is for none of our addresses, while an address is being asked for.
    bool unconfigured_input(interface& on, const packet_buffer& packet);
    bool dhcp_input(packet_ptr& packet);
    // A packet of ours that found no neighbour.
    void undeliverable(packet_ptr packet);
    void link_changed(interface& which, bool up);
    // The text for /etc/resolv.conf-like consumers is made by fs from name_servers().

    u16 next_ip_id() { return static_cast<u16>(_ip_id.fetch_add(1, std::memory_order_relaxed)); }
    // Keys of the hashes and of initial sequence numbers, different at every boot.
    u64 secret(usize which) const { return _secrets[which]; }

    timer_queue timers;
    route_table routes;
    flow_table tcp_flows;
    port_table tcp_ports;
    port_table udp_ports;
    raw_table raw_sockets;
    reassembler fragments{timers};
    stack_counters counters;
    std::atomic<u32> time_wait_count{0};
    std::atomic<u32> orphan_count{0};

private:
    interface* _interfaces[max_interfaces]{};
    std::atomic<usize> _interface_count{0};
    mutex _link_lock;
    std::atomic<u32> _route_generation{1};
    std::atomic<u32> _ip_id{0};
    u64 _secrets[4];
    wait_queue _configured;
    ip_address _name_servers[configuration::max_name_servers];
    usize _name_server_count = 0;
    dhcp_client* _dhcp[max_interfaces]{};
    neighbour_discovery* _ndp[max_interfaces]{};

    channel _looped{16384};
    flow_list _attention;
    // Flows whose users were called; looked after a while later in case they did not come.
    flow_list _left;
    net_timer _left_timer{&left_too_long};
    std::atomic<bool> _left_timer_set{false};
    std::atomic<bool> _running_pending{false};
    bool deliver_looped();
    bool attend_listed();
    void leave_to_users(flow& which);
    static void left_too_long(net_timer& expired);
};

// The kernel's one stack; valid after net_init.
network_stack& the_network();

}  // namespace kiln::net

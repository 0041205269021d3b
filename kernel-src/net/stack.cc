#include "net/stack.hh"

#include "core/entropy.hh"
#include "core/log.hh"
#include "lib/guard.hh"
#include "net/dhcp.hh"
#include "net/tcp_socket.hh"

namespace kiln::net {
namespace {

// How long a packet may lie in a channel whose users were called.
constexpr u64 patience = ns_per_ms;

}  // namespace

network_stack::network_stack() {
    random_bytes(std::as_writable_bytes(std::span(_secrets)));
    tcp_flows.set_secret(_secrets[0]);
}

network_stack::~network_stack() {
    timers.stop(_left_timer);
    left_too_long(_left_timer);
    for (dhcp_client*& client : _dhcp) {
        delete client;
        client = nullptr;
    }
    for (usize i = 0; i < interface_count(); ++i) {
        delete _ndp[i];
        delete _interfaces[i];
    }
}

result<void> network_stack::start() {
    unique<interface> made = TRY(make_unique<interface>(*this, "lo", 1, nullptr));
    TRY(made->add_address({.prefix = {loopback_v4, 8}}));
    TRY(made->add_address({.prefix = {loopback_v6, 128}}));
    made->set_up(true);
    _interfaces[0] = made.leak();
    _interface_count.store(1, std::memory_order_release);
    return {};
}

result<interface*> network_stack::add_device(net_device& device) {
    lock_guard guard(_link_lock);
    const usize count = interface_count();
    for (usize i = 0; i < count; ++i) {
        if (_interfaces[i]->device() == &device) {
            return err::exist;
        }
    }
    if (count == max_interfaces) {
        return err::nospc;
    }
    char name[16];
    const usize length = format_to(name, "eth{}", count - 1);
    unique<interface> made = TRY(make_unique<interface>(*this, std::string_view(name, length),
                                                        static_cast<u32>(count + 1), &device));
    unique<neighbour_discovery> discovery =
        TRY(make_unique<neighbour_discovery>(*made));
    interface* added = made.leak();
    _ndp[count] = discovery.leak();
    _interfaces[count] = added;
    _interface_count.store(count + 1, std::memory_order_release);
    added->set_up(true);
    device.start(*added);
    return added;
}

interface* network_stack::interface_by_index(u32 index) {
    return index >= 1 && index <= interface_count() ? _interfaces[index - 1] : nullptr;
}

interface* network_stack::interface_by_name(std::string_view name) {
    for (usize i = 0; i < interface_count(); ++i) {
        if (_interfaces[i]->name() == name) {
            return _interfaces[i];
        }
    }
    return nullptr;
}

bool network_stack::is_local(const ip_address& address) {
    if (address.is_loopback()) {
        return true;
    }
    for (usize i = 1; i < interface_count(); ++i) {
        if (_interfaces[i]->has_address(address)) {
            return true;
        }
    }
    return false;
}

result<route> network_stack::find_route(const ip_address& destination, const ip_address& source,
                                        u32 interface_index) {
    const bool has_source = !source.is_unspecified();
    if (has_source && source.is_v4() != destination.is_v4()) {
        return err::netunreach;
    }
    if (is_local(destination)) {
        // All of 127/8 is ours and speaks as 127.0.0.1, as on Linux.
        const bool loops = destination.is_v4() && destination.is_loopback();
        const ip_address own = loops ? loopback_v4 : destination;
        return route{&loopback(), destination, has_source ? source : own, true};
    }
    interface* out = interface_index != 0 ? interface_by_index(interface_index) : nullptr;
    route_entry entry;
    if (!routes.find(destination, out, entry)) {
        // What stays on a link needs no route, only a link.
        const bool on_link = destination.is_multicast() || destination.is_link_local() ||
                             destination.is_limited_broadcast();
        if (out == nullptr && on_link && interface_count() > 1) {
            out = _interfaces[1];
        }
        if (!on_link || out == nullptr) {
            return err::netunreach;
        }
        entry.out = out;
        entry.gateway = any_v6;
    }
    route way{.out = entry.out, .next_hop = destination};
    if (!entry.gateway.is_unspecified()) {
        way.next_hop = entry.gateway;
    }
    way.source = has_source ? source : entry.out->source_for(destination);
    if (way.source.is_unspecified()) {
        return err::addrnotavail;
    }
    return way;
}

namespace {

// The route to a prefix's own link, which an address brings along.
route_entry link_route(interface& out, const ip_prefix& prefix) {
    ip_prefix network = prefix;
    const usize bits = prefix.mapped_length();
    for (usize i = 0; i < 16; ++i) {
        const usize kept = bits <= i * 8 ? 0 : bits - i * 8;
        if (kept < 8) {
            network.address.bytes[i] &= static_cast<u8>(0xff00 >> kept);
        }
    }
    return {.destination = network, .gateway = any_v6, .out = &out};
}

}  // namespace

result<void> add_interface_address(interface& to, const interface_address& added) {
    auto done = to.add_address(added);
    if (!done.ok() && done.error() != err::exist) {
        return done;
    }
    TRY(to.stack().routes.add(link_route(to, added.prefix)));
    to.stack().routes_changed();
    return {};
}

void remove_interface_address(interface& from, const ip_prefix& gone) {
    static_cast<void>(from.remove_address(gone.address));
    from.stack().routes.remove(link_route(from, gone).destination, &from);
    from.stack().routes_changed();
}

result<void> add_default_route(interface& out, const ip_address& gateway, bool dynamic) {
    const ip_prefix all{gateway.is_v4() ? any_v4 : any_v6, 0};
    TRY(out.stack().routes.add(
        {.destination = all, .gateway = gateway, .out = &out, .metric = 0, .dynamic = dynamic}));
    out.stack().routes_changed();
    return {};
}

result<void> network_stack::configure(interface& which, const configuration& wanted) {
    if (wanted.name_server_count != 0) {
        set_name_servers({wanted.name_servers, wanted.name_server_count});
    }
    if (wanted.mode == address_mode::none) {
        return {};
    }
    if (wanted.mode == address_mode::fixed) {
        for (usize i = 0; i < wanted.address_count; ++i) {
            const ip_prefix& prefix = wanted.addresses[i];
            TRY(add_interface_address(which, {.prefix = prefix}));
            if (prefix.address.is_v4()) {
                arp_announce(which, prefix.address);
            }
        }
        for (usize i = 0; i < wanted.gateway_count; ++i) {
            TRY(add_default_route(which, wanted.gateways[i], false));
        }
        address_configured();
        discovery_of(which).start();
        return {};
    }
    discovery_of(which).start();
    unique<dhcp_client> client = TRY(make_unique<dhcp_client>(which, wanted.host_name));
    dhcp_client* started = client.leak();
    _dhcp[which.index() - 1] = started;
    started->start();
    return {};
}

bool network_stack::configured() {
    for (usize i = 1; i < interface_count(); ++i) {
        interface_address known[interface::max_addresses];
        const usize count = _interfaces[i]->addresses(known);
        for (usize j = 0; j < count; ++j) {
            if (!known[j].tentative && !known[j].prefix.address.is_link_local()) {
                return true;
            }
        }
    }
    return false;
}

void network_stack::set_name_servers(std::span<const ip_address> servers) {
    lock_guard guard(_link_lock);
    _name_server_count = 0;
    for (const ip_address& server : servers) {
        if (_name_server_count < configuration::max_name_servers) {
            _name_servers[_name_server_count++] = server;
        }
    }
}

void network_stack::loop_back(packet_ptr packet) {
    packet->is_loopback = true;
    if (!_looped.push(packet)) {
        counters.channel_drops.fetch_add(1, std::memory_order_relaxed);
    }
}

void network_stack::request_attention(flow& which, bool news) {
    _attention.put(news ? which._news_place : which._work_place);
}

bool network_stack::deliver_looped() {
    packet_queue arrived;
    _looped.take_all(arrived);
    const bool any = !arrived.empty();
    while (packet_ptr packet = arrived.pop_front()) {
        interface& lo = loopback();
        const u8 version = static_cast<u8>(packet->data()[0]) >> 4;
        version == 4 ? ipv4_input(lo, std::move(packet)) : ipv6_input(lo, std::move(packet));
    }
    return any;
}

bool network_stack::attend_listed() {
    return _attention.visit_all([this](flow_place& place) {
        flow& which = place.owner;
        const bool news = &place == &which._news_place;
        if (news && which.wants_attention() && which.call_users()) {
            leave_to_users(which);
        } else if (news || !which._news_place.listed.load(std::memory_order_seq_cst)) {
            which.attend();
        }
    });
}

void network_stack::leave_to_users(flow& which) {
    _left.put(which._left_place);
    if (!_left_timer_set.exchange(true, std::memory_order_seq_cst)) {
        timers.start(_left_timer, now() + patience);
    }
}

void network_stack::left_too_long(net_timer& expired) {
    network_stack& self = *member_traits<&network_stack::_left_timer>::object(&expired);
    self._left_timer_set.store(false, std::memory_order_seq_cst);
    self._left.visit_all([](flow_place& place) { place.owner.attend(); });
}

void network_stack::run_pending() {
    while (!_looped.empty() || !_attention.empty()) {
        if (_running_pending.exchange(true, std::memory_order_seq_cst)) {
            return;
        }
        while (deliver_looped() || attend_listed()) {
        }
        _running_pending.store(false, std::memory_order_seq_cst);
    }
}

bool network_stack::unconfigured_input(interface& on, const packet_buffer& packet) {
    dhcp_client* client = _dhcp[on.index() - 1];
    return client != nullptr && client->wants(packet);
}

bool network_stack::dhcp_input(packet_ptr& packet) {
    dhcp_client* client = _dhcp[packet->from->index() - 1];
    return client != nullptr && client->input(packet);
}

void network_stack::undeliverable(packet_ptr packet) {
    const bool v4 = static_cast<u8>(packet->data()[0]) >> 4 == 4;
    const usize header_size = v4 ? sizeof(ipv4_header) : sizeof(ipv6_header);
    packet->network_header = packet->data();
    const u8 protocol = static_cast<u8>(packet->data()[v4 ? 9 : 6]);
    if (packet->linear_size() < header_size + 8) {
        return;
    }
    const std::byte* transport = packet->data() + header_size;
    const endpoint local{packet_source(*packet), load_be<u16>(transport)};
    const endpoint remote{packet_destination(*packet), load_be<u16>(transport + 2)};
    if (protocol == ip_protocol::tcp) {
        if (auto found = tcp_flows.find({local, remote})) {
            found->network_error(err::hostunreach, true, 0);
        }
    } else if (protocol == ip_protocol::udp) {
        if (auto found = udp_ports.find_receiver(local, remote, 0, 0)) {
            found->network_error(err::hostunreach, true, 0);
        }
    }
    run_pending();
}

void network_stack::link_changed(interface& which, bool up) {
    log_info("{}: link {}", which.name(), up ? "up" : "down");
    if (dhcp_client* client = _dhcp[which.index() - 1]; client != nullptr && up) {
        client->start();
    }
}

}  // namespace kiln::net

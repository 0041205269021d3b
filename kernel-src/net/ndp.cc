// Neighbor Discovery (RFC 4861), and addresses from router advertisements with duplicate address
// detection (RFC 4862). Only packets that came straight from the link (hop limit 255) are believed.
#include "net/ndp.hh"

#include "core/log.hh"
#include "net/ip.hh"
#include "net/stack.hh"

namespace kiln::net {
namespace {

namespace option {
constexpr u8 source_mac = 1, target_mac = 2, prefix = 3, mtu = 5, name_servers = 25;
}
constexpr u8 link_hop_limit = 255;
constexpr u32 flag_solicited = 1u << 30, flag_override = 1u << 29;
constexpr u32 most_router_solicits = 3;           // RFC 4861, 10
constexpr u64 solicit_interval = 4 * ns_per_s;
constexpr u64 detection_time = ns_per_s;          // RETRANS_TIMER
constexpr u32 least_mtu = 1280;

constexpr ip_address all_nodes = {{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr ip_address all_routers = {{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

// RFC 4291, 2.7.1.
ip_address solicited_group(const ip_address& address) {
    ip_address group = {{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};
    __builtin_memcpy(group.bytes + 13, address.bytes + 13, 3);
    return group;
}

std::byte* put_mac_option(std::byte* to, u8 kind, const mac_address& mac) {
    to[0] = static_cast<std::byte>(kind);
    to[1] = std::byte{1};
    __builtin_memcpy(to + 2, mac.bytes, 6);
    return to;
}

// A message with a target address and, perhaps, our link-layer address.
void send_about(interface& on, u8 type, u32 flags, const ip_address& target,
                const ip_address& source, const ip_address& to, u8 mac_option) {
    auto made = packet_buffer::make();
    if (!made.ok()) {
        return;
    }
    packet_ptr packet = made.take();
    if (mac_option != 0) {
        put_mac_option(packet->push(8), mac_option, on.mac());
    }
    if (type != icmp6_type::router_solicit) {
        __builtin_memcpy(packet->push(16), target.bytes, 16);
    }
    auto* header = header_at<icmp_header>(packet->push(sizeof(icmp_header)));
    header->type = type;
    header->code = 0;
    header->rest = flags;
    send_icmp6(on, std::move(packet), source, to, link_hop_limit);
}

// Calls `visit(kind, body)` for each option; false when they are malformed.
template <class Visit>
bool for_each_option(std::span<const std::byte> bytes, Visit visit) {
    while (bytes.size() >= 2) {
        const usize size = static_cast<usize>(bytes[1]) * 8;
        if (size == 0 || size > bytes.size()) {
            return false;
        }
        visit(static_cast<u8>(bytes[0]), bytes.subspan(0, size));
        bytes = bytes.subspan(size);
    }
    return true;
}

struct message {
    ip_address source;
    ip_address destination;
    u32 flags = 0;
    ip_address target;
    std::byte bytes[1024];
    usize size = 0;  // of what follows the fixed part
    mac_address mac{};
    bool has_mac = false;
};

// Reads the fixed part and looks for the link-layer address.
bool read_message(packet_buffer& packet, usize fixed, u8 mac_option, message& to) {
    if (packet_ttl(packet) != link_hop_limit || packet.size() < fixed ||
        packet.size() > sizeof(to.bytes)) {
        return false;
    }
    to.source = packet_source(packet);
    to.destination = packet_destination(packet);
    packet.copy_out(0, to.bytes, packet.size());
    to.flags = load_be<u32>(to.bytes + 4);
    if (fixed >= 24) {
        to.target = ip_address::v6_bytes(to.bytes + 8);
    }
    __builtin_memmove(to.bytes, to.bytes + 4, packet.size() - 4);
    to.size = packet.size() - fixed;
    return for_each_option({to.bytes + fixed - 4, to.size}, [&](u8 kind, auto body) {
        if (kind == mac_option && body.size() >= 8) {
            __builtin_memcpy(to.mac.bytes, body.data() + 2, 6);
            to.has_mac = true;
        }
    });
}

void solicit_input(interface& on, packet_buffer& packet) {
    message got;
    if (!read_message(packet, 24, option::source_mac, got) || got.target.is_multicast()) {
        return;
    }
    const bool detecting = got.source.is_unspecified();
    if (on.has_address(got.target, true) && !on.has_address(got.target)) {
        if (detecting) {
            on.stack().discovery_of(on).duplicate(got.target);
        }
        return;
    }
    if (!on.has_address(got.target)) {
        return;
    }
    if (got.has_mac && !detecting) {
        on.neighbours().learn(got.source, got.mac, true, false);
    }
    send_about(on, icmp6_type::neighbour_advertise,
               (detecting ? 0 : flag_solicited) | flag_override, got.target, got.target,
               detecting ? all_nodes : got.source, option::target_mac);
}

void advertise_input(interface& on, packet_buffer& packet) {
    message got;
    if (!read_message(packet, 24, option::target_mac, got) || got.target.is_multicast()) {
        return;
    }
    if (on.has_address(got.target, true)) {
        if (!on.has_address(got.target)) {
            on.stack().discovery_of(on).duplicate(got.target);
        }
        return;
    }
    if (got.has_mac) {
        on.neighbours().learn(got.target, got.mac, false, (got.flags & flag_solicited) != 0,
                              (got.flags & flag_override) != 0);
    }
}

}  // namespace

void ndp_solicit(interface& on, const ip_address& target, const mac_address* known) {
    const ip_address source = on.source_for(target);
    const ip_address to = known != nullptr ? target : solicited_group(target);
    send_about(on, icmp6_type::neighbour_solicit, 0, target, source, to,
               source.is_unspecified() ? u8{0} : option::source_mac);
}

void ndp_input(interface& on, u8 type, packet_ptr packet) {
    if (on.is_loopback()) {
        return;
    }
    if (type == icmp6_type::neighbour_solicit) {
        solicit_input(on, *packet);
    } else if (type == icmp6_type::neighbour_advertise) {
        advertise_input(on, *packet);
    } else if (type == icmp6_type::router_advertise) {
        on.stack().discovery_of(on).advertisement(*packet);
    }
}

neighbour_discovery::neighbour_discovery(interface& on) : _on(on) {}

neighbour_discovery::~neighbour_discovery() {
    _on.stack().timers.stop(_timer);
}

// The interface identifier from the MAC address (RFC 4291, appendix A).
ip_address neighbour_discovery::address_in(const ip_address& network) const {
    ip_address made = network;
    const mac_address own = _on.mac();
    const u8* mac = own.bytes;
    const u8 id[8] = {static_cast<u8>(mac[0] ^ 2), mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
    __builtin_memcpy(made.bytes + 8, id, 8);
    return made;
}

void neighbour_discovery::start() {
    constexpr ip_address link_network = {{0xfe, 0x80}};
    begin_address({address_in(link_network), 64}, never, never);
    _solicits_left = most_router_solicits;
    arm(now() + detection_time);
}

// A new address is only used when nobody objects for a second.
void neighbour_discovery::begin_address(const ip_prefix& prefix, u64 preferred, u64 valid) {
    const bool fresh = !_on.has_address(prefix.address, true);
    const interface_address added{.prefix = prefix,
                                  .tentative = true,
                                  .dynamic = !prefix.address.is_link_local(),
                                  .preferred_until = preferred,
                                  .valid_until = valid};
    if (!add_interface_address(_on, added).ok() || !fresh) {
        return;
    }
    send_about(_on, icmp6_type::neighbour_solicit, 0, prefix.address, any_v6,
               solicited_group(prefix.address), 0);
    arm(now() + detection_time);
}

void neighbour_discovery::duplicate(const ip_address& address) {
    char text[48];
    const usize length = format_address(address, text);
    log_warning("{}: {} is in use by another machine", _on.name(), std::string_view(text, length));
    static_cast<void>(_on.remove_address(address));
}

void neighbour_discovery::arm(u64 deadline) {
    if (!_timer.node.linked() || deadline < _timer.deadline) {
        _on.stack().timers.start(_timer, deadline);
    }
}

void neighbour_discovery::timer_fired(net_timer& expired) {
    member_traits<&neighbour_discovery::_timer>::object(&expired)->on_timer();
}

void neighbour_discovery::on_timer() {
    const u64 time = now();
    interface_address known[interface::max_addresses];
    const usize count = _on.addresses(known);
    u64 next = never;
    for (usize i = 0; i < count; ++i) {
        if (known[i].tentative) {
            _on.confirm_address(known[i].prefix.address);
            if (known[i].dynamic) {
                _on.stack().address_configured();
            }
        }
        next = known[i].valid_until < next ? known[i].valid_until : next;
    }
    _on.expire_addresses(time);
    if (_router_until <= time && _router_until != 0) {
        _router_until = 0;
        _on.stack().routes.remove_dynamic(&_on, false);
        _on.stack().routes_changed();
    }
    const u64 router_until = _router_until;
    next = router_until != 0 && router_until < next ? router_until : next;
    if (_solicits_left != 0) {
        --_solicits_left;
        send_about(_on, icmp6_type::router_solicit, 0, any_v6, _on.source_for(all_routers),
                   all_routers, option::source_mac);
        next = next < time + solicit_interval ? next : time + solicit_interval;
    }
    if (next != never) {
        arm(next);
    }
}

// struct of the prefix option: RFC 4861, 4.6.2.
void neighbour_discovery::take_prefix(std::span<const std::byte> body) {
    constexpr u8 flag_autonomous = 0x40;
    if (body.size() < 32) {
        return;
    }
    const u8 length = static_cast<u8>(body[2]);
    const u8 flags = static_cast<u8>(body[3]);
    const u32 valid = load_be<u32>(&body[4]);
    const u32 preferred = load_be<u32>(&body[8]);
    const ip_address network = ip_address::v6_bytes(&body[16]);
    if (length != 64 || (flags & flag_autonomous) == 0 || preferred > valid || valid == 0 ||
        network.is_link_local() || network.is_multicast()) {
        return;
    }
    auto until = [](u32 seconds) {
        return seconds == ~0u ? never : now() + u64{seconds} * ns_per_s;
    };
    begin_address({address_in(network), 64}, until(preferred), until(valid));
}

// RFC 4861, 4.2.
void neighbour_discovery::advertisement(packet_buffer& packet) {
    message got;
    if (!read_message(packet, 16, option::source_mac, got) || !got.source.is_link_local()) {
        return;
    }
    _solicits_left = 0;
    const u16 lifetime = static_cast<u16>(got.flags);
    if (got.has_mac) {
        _on.neighbours().learn(got.source, got.mac, true, false);
    }
    if (lifetime != 0) {
        _router_until = now() + u64{lifetime} * ns_per_s;
        static_cast<void>(add_default_route(_on, got.source, true));
        arm(_router_until);
    } else if (_router_until != 0) {
        _router_until = 0;
        _on.stack().routes.remove_dynamic(&_on, false);
        _on.stack().routes_changed();
    }
    for_each_option({got.bytes + 12, got.size}, [&](u8 kind, std::span<const std::byte> body) {
        if (kind == option::prefix) {
            take_prefix(body);
        } else if (kind == option::mtu) {
            const u32 mtu = load_be<u32>(&body[4]);
            if (mtu >= least_mtu && mtu <= _on.mtu()) {
                _on.set_mtu(mtu);
            }
        } else if (kind == option::name_servers && body.size() >= 24 &&
                   _on.stack().name_servers().empty()) {
            const ip_address server = ip_address::v6_bytes(&body[8]);
            _on.stack().set_name_servers({&server, 1});
        }
    });
}

}  // namespace kiln::net

#include "net/inet_socket.hh"

#include <algorithm>

#include "net/stack.hh"

namespace kiln::net {

inet_socket::inet_socket(network_stack& stack, u16 family, u16 type, u16 protocol)
    : socket(family, type, protocol), _net(stack) {
    _binding.v6 = is_v6();
    const ip_address any = is_v6() ? any_v6 : any_v4;
    _local.address = _peer.address = any;
}

inet_socket::~inet_socket() = default;

result<endpoint> inet_socket::to_endpoint(const socket_address& given) const {
    if (given.family() == address_family::inet && (!is_v6() || given.size >= sizeof(sockaddr_in))) {
        if (given.size < sizeof(sockaddr_in)) {
            return err::inval;
        }
        if (is_v6()) {
            return err::afnosupport;
        }
        sockaddr_in in;
        __builtin_memcpy(&in, given.bytes, sizeof(in));
        return endpoint{ip_address::v4_bytes(in.address), load_be<u16>(in.port)};
    }
    if (!is_v6()) {
        return given.size < sizeof(sockaddr_in) ? err::inval : err::afnosupport;
    }
    if (given.size < sizeof(sockaddr_in6) - 4) {
        return err::inval;
    }
    if (given.family() != address_family::inet6) {
        return err::afnosupport;
    }
    sockaddr_in6 in;
    __builtin_memcpy(&in, given.bytes, sizeof(in));
    return endpoint{ip_address::v6_bytes(in.address), load_be<u16>(in.port), in.scope};
}

void inet_socket::from_endpoint(const endpoint& from, socket_address& to) const {
    if (is_v6()) {
        sockaddr_in6 in{.family = address_family::inet6};
        store_be<u16>(in.port, from.port);
        // Linux shows the unspecified address of a dual-stack socket as ::, not ::ffff:0.0.0.0.
        const ip_address shown = from.address.is_unspecified() ? any_v6 : from.address;
        __builtin_memcpy(in.address, shown.bytes, 16);
        in.scope = shown.is_link_local() && !shown.is_v4() ? from.scope : 0;
        __builtin_memcpy(to.bytes, &in, sizeof(in));
        to.size = sizeof(in);
        return;
    }
    sockaddr_in in{.family = address_family::inet};
    store_be<u16>(in.port, from.port);
    __builtin_memcpy(in.address, from.address.bytes + 12, 4);
    __builtin_memcpy(to.bytes, &in, sizeof(in));
    to.size = sizeof(in);
}

result<void> inet_socket::local_address(socket_address& to) {
    from_endpoint(_local, to);
    return {};
}

result<void> inet_socket::peer_address(socket_address& to) {
    if (!_has_peer) {
        return err::notconn;
    }
    from_endpoint(_peer, to);
    return {};
}

result<void> inet_socket::bind_port(const endpoint& wanted, bool datagrams) {
    if (_bound_port || _bound) {
        return err::inval;
    }
    const ip_address& address = wanted.address;
    const bool special = datagrams && (address.is_multicast() || address.is_limited_broadcast());
    if (!address.is_unspecified() && !special && !_net.is_local(address)) {
        return err::addrnotavail;
    }
    if (_v6_only && address.is_v4()) {
        return err::inval;
    }
    _binding.address = address;
    _binding.port = wanted.port;
    _binding.v6_only = _v6_only;
    _binding.receiving = datagrams;
    _binding.reuse_address = _options.reuse_address;
    _binding.reuse_port = _options.reuse_port;
    TRY((datagrams ? _net.udp_ports : _net.tcp_ports).bind(_binding, datagrams));
    _local = {address, _binding.port, wanted.scope};
    _bound = true;
    _bound_port = wanted.port != 0;
    _bound_address = !address.is_unspecified();
    return {};
}

void inet_socket::option_changed(i32 name) {
    if (name == socket_option::reuse_address || name == socket_option::reuse_port) {
        _binding.reuse_address = _options.reuse_address;
        _binding.reuse_port = _options.reuse_port;
    }
}

result<void> inet_socket::set_option(i32 level, i32 name, std::span<const std::byte> value) {
    if (level == socket_level::ip) {
        return set_ip_option(name, value);
    }
    if (level == socket_level::ipv6) {
        return is_v6() ? set_ipv6_option(name, value) : result<void>(err::noprotoopt);
    }
    return socket::set_option(level, name, value);
}

result<usize> inet_socket::get_option(i32 level, i32 name, std::span<std::byte> value) {
    if (level == socket_level::ip) {
        return get_ip_option(name, value);
    }
    if (level == socket_level::ipv6) {
        return is_v6() ? get_ipv6_option(name, value) : result<usize>(err::opnotsupp);
    }
    if (level != socket_level::socket) {
        return is_v6() ? err::noprotoopt : err::opnotsupp;
    }
    return socket::get_option(level, name, value);
}

namespace {

// IP options may also come as a single byte.
result<i32> byte_or_int(std::span<const std::byte> value) {
    if (value.size() >= sizeof(i32)) {
        return option_int(value);
    }
    if (value.empty()) {
        return err::inval;
    }
    return static_cast<i32>(value[0]);
}

}  // namespace

result<void> inet_socket::set_ip_option(i32 name, std::span<const std::byte> value) {
    using namespace ip_option;
    if (name == add_membership || name == drop_membership) {
        // Every multicast packet is received anyway; groups are not announced to routers.
        return value.size() < 8 ? result<void>(err::inval) : result<void>();
    }
    if (name == ip_option::options) {
        return value.empty() ? result<void>() : result<void>(err::inval);
    }
    const i32 number = TRY(byte_or_int(value));
    switch (name) {
        case service:
            _service = static_cast<u8>(type() == socket_type::stream ? (number & ~3) : number);
            return {};
        case ttl:
            if (number != -1 && (number < 1 || number > 255)) {
                return err::inval;
            }
            _ttl = number == -1 ? u8{64} : static_cast<u8>(number);
            return {};
        case packet_info:
            _packet_info = number != 0;
            return {};
        case receive_ttl:
            _receive_ttl = number != 0;
            return {};
        case receive_service:
            _receive_service = number != 0;
            return {};
        case receive_error:
            _receive_error = number != 0;
            return {};
        case mtu_discover:
            if (number < 0 || number > 5) {
                return err::inval;
            }
            _mtu_discover = static_cast<u8>(number);
            return {};
        case multicast_ttl:
            if (number < -1 || number > 255) {
                return err::inval;
            }
            _multicast_ttl = number == -1 ? u8{1} : static_cast<u8>(number);
            return {};
        case multicast_loop:
            _multicast_loop = number != 0;
            return {};
        case multicast_interface:
        case multicast_all:
        case free_bind:
        case bind_address_no_port:
            return {};
        default:
            return err::noprotoopt;
    }
}

result<void> inet_socket::set_ipv6_option(i32 name, std::span<const std::byte> value) {
    using namespace ipv6_option;
    if (name == join_group || name == leave_group) {
        return value.size() < 20 ? result<void>(err::inval) : result<void>();
    }
    const i32 number = TRY(option_int(value));
    switch (name) {
        case v6_only:
            if (_bound) {
                return err::inval;
            }
            _v6_only = number != 0;
            return {};
        case unicast_hops:
        case ipv6_option::multicast_hops:
            if (number < -1 || number > 255) {
                return err::inval;
            }
            (name == unicast_hops ? _ttl : _multicast_ttl) =
                number == -1 ? static_cast<u8>(name == unicast_hops ? 64 : 1)
                             : static_cast<u8>(number);
            return {};
        case traffic_class:
            if (number < -1 || number > 255) {
                return err::inval;
            }
            _service = number == -1 ? u8{0} : static_cast<u8>(number);
            return {};
        case receive_packet_info:
            _packet_info = number != 0;
            return {};
        case receive_hop_limit:
            _receive_ttl = number != 0;
            return {};
        case receive_traffic_class:
            _receive_service = number != 0;
            return {};
        case receive_error:
            _receive_error = number != 0;
            return {};
        case multicast_loop:
            _multicast_loop = number != 0;
            return {};
        case multicast_interface:
            _multicast_interface = static_cast<u32>(number);
            return {};
        case mtu_discover:
            _mtu_discover = static_cast<u8>(number);
            return {};
        case dont_fragment:
        case auto_flow_label:
        case address_preferences:
            return {};
        default:
            return err::noprotoopt;
    }
}

result<usize> inet_socket::get_ip_option(i32 name, std::span<std::byte> value) {
    using namespace ip_option;
    switch (name) {
        case service:
            return put_option_int(value, _service);
        case ttl:
            return put_option_int(value, _ttl);
        case packet_info:
            return put_option_int(value, _packet_info);
        case receive_ttl:
            return put_option_int(value, _receive_ttl);
        case receive_service:
            return put_option_int(value, _receive_service);
        case receive_error:
            return put_option_int(value, _receive_error);
        case mtu_discover:
            return put_option_int(value, _mtu_discover);
        case multicast_ttl:
            return put_option_int(value, _multicast_ttl);
        case multicast_loop:
            return put_option_int(value, _multicast_loop);
        case free_bind:
        case bind_address_no_port:
            return put_option_int(value, 0);
        case ip_option::options:
            return usize{0};
        case mtu: {
            if (!_has_peer) {
                return err::notconn;
            }
            const route way = TRY(_net.find_route(_peer.address, _local.address));
            return put_option_int(value, static_cast<i32>(way.out->mtu()));
        }
        default:
            return err::noprotoopt;
    }
}

result<usize> inet_socket::get_ipv6_option(i32 name, std::span<std::byte> value) {
    using namespace ipv6_option;
    switch (name) {
        case v6_only:
            return put_option_int(value, _v6_only);
        case unicast_hops:
            return put_option_int(value, _ttl);
        case ipv6_option::multicast_hops:
            return put_option_int(value, _multicast_ttl);
        case multicast_loop:
            return put_option_int(value, _multicast_loop);
        case multicast_interface:
            return put_option_int(value, static_cast<i32>(_multicast_interface));
        case traffic_class:
            return put_option_int(value, _service);
        case receive_packet_info:
            return put_option_int(value, _packet_info);
        case receive_hop_limit:
            return put_option_int(value, _receive_ttl);
        case receive_traffic_class:
            return put_option_int(value, _receive_service);
        case receive_error:
            return put_option_int(value, _receive_error);
        case mtu_discover:
            return put_option_int(value, _mtu_discover);
        default:
            return err::noprotoopt;
    }
}

}  // namespace kiln::net

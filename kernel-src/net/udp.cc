#include "net/udp.hh"

#include <algorithm>

#include "net/checksum.hh"
#include "net/flow_table.hh"
#include "net/stack.hh"

namespace kiln::net {
namespace {

constexpr usize most_payload = 65507;
constexpr u16 dhcp_client_port = 68;

bool good_checksum(const packet_buffer& packet, const udp_header& header, usize length) {
    if (packet.checksum_valid) {
        return true;
    }
    const ip_address source = packet_source(packet);
    if (header.checksum == 0) {
        return source.is_v4();
    }
    const u32 sum = pseudo_header_sum(source, packet_destination(packet), ip_protocol::udp,
                                      static_cast<u32>(length));
    return checksum_fold(checksum_add(sum, packet, 0, length)) == 0xffff;
}

void deliver_to_all(network_stack& stack, const endpoint& local, const endpoint& remote,
                    packet_ptr packet) {
    ref<inet_socket> receivers[16];
    const usize count = stack.udp_ports.find_all(local, remote, receivers);
    for (usize i = 0; i < count; ++i) {
        auto copy = packet->clone();
        if (copy.ok()) {
            static_cast<udp_socket&>(*receivers[i]).enqueue(copy.take());
        }
    }
}

}  // namespace

void udp_input(network_stack& stack, packet_ptr packet) {
    if (!packet->linearise(sizeof(udp_header))) {
        return;
    }
    const auto* header = header_at<udp_header>(packet->data());
    const usize length = header->length;
    if (length < sizeof(udp_header) || length > packet->size()) {
        stack.counters.udp_errors.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    packet->trim(length);
    if (!good_checksum(*packet, *header, length)) {
        stack.counters.udp_errors.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    if (header->destination == dhcp_client_port && !packet->is_loopback &&
        stack.dhcp_input(packet)) {
        return;
    }
    const u32 index = packet->from->index();
    const endpoint local{packet_destination(*packet), header->destination, index};
    const endpoint remote{packet_source(*packet), header->source, index};
    packet->sequence = remote.port;
    if (local.address.is_multicast() || packet->from->is_broadcast(local.address)) {
        packet->pull(sizeof(udp_header));
        deliver_to_all(stack, local, remote, std::move(packet));
        return;
    }
    const u32 hash = hash_flow({local, remote}, stack.secret(1));
    auto found = stack.udp_ports.find_receiver(local, remote, hash, 0);
    if (!found) {
        stack.counters.udp_no_port.fetch_add(1, std::memory_order_relaxed);
        send_port_unreachable(stack, *packet);
        return;
    }
    packet->pull(sizeof(udp_header));
    stack.counters.udp_received.fetch_add(1, std::memory_order_relaxed);
    static_cast<udp_socket&>(*found).enqueue(std::move(packet));
}

udp_socket::udp_socket(network_stack& stack, u16 family)
    : datagram_socket(stack, family, socket_type::datagram, ip_protocol::udp) {}

udp_socket::~udp_socket() {
    _net.udp_ports.unbind(_binding);
}

void udp_socket::dropped() {
    _net.counters.udp_errors.fetch_add(1, std::memory_order_relaxed);
}

result<void> udp_socket::bind(const socket_address& address) {
    const endpoint wanted = TRY(to_endpoint(address));
    lock_guard guard(_lock);
    return bind_port(wanted, true);
}

result<void> udp_socket::bind_if_needed() {
    lock_guard guard(_lock);
    if (_bound) {
        return {};
    }
    TRY(bind_port({_local.address, 0}, true));
    _bound_port = false;
    return {};
}

result<void> udp_socket::connect(const socket_address& address, bool) {
    if (address.size >= 2 && address.family() == address_family::unspecified) {
        lock_guard guard(_lock);
        TRY(_net.udp_ports.update(_binding, [](port_binding& entry) { entry.connected = false; }));
        _has_peer = false;
        if (!_bound_address) {
            _local.address = is_v6() ? any_v6 : any_v4;
            TRY(_net.udp_ports.update(
                _binding, [this](port_binding& entry) { entry.address = _local.address; }));
        }
        return {};
    }
    endpoint to = TRY(to_endpoint(address));
    if (to.address.is_unspecified()) {
        to.address = is_v6() && !to.address.is_v4() ? loopback_v6 : loopback_v4;
    }
    if (_v6_only && to.address.is_v4()) {
        return err::netunreach;
    }
    TRY(bind_if_needed());
    lock_guard guard(_lock);
    route way;
    TRY(way_to(to, _bound_address ? _local.address : ip_address{}, way));
    if (way.out->is_broadcast(to.address) && !_options.broadcast) {
        return err::acces;
    }
    _peer = to;
    _has_peer = true;
    _local.address = way.source;
    return _net.udp_ports.update(_binding, [&](port_binding& entry) {
        entry.connected = true;
        entry.peer = to;
        entry.address = way.source;
    });
}

result<usize> udp_socket::send(socket_message& message, u32 flags) {
    if ((flags & message_flag::oob) != 0) {
        return err::opnotsupp;
    }
    if (has_error()) {
        return take_error();
    }
    const usize size = message.data.remaining();
    if (size > most_payload) {
        return err::msgsize;
    }
    endpoint to = _peer;
    if (message.address.size != 0) {
        to = TRY(to_endpoint(message.address));
        if (to.port == 0) {
            return err::inval;
        }
        if (to.address.is_unspecified()) {
            to.address = is_v6() && !to.address.is_v4() ? loopback_v6 : loopback_v4;
        }
    } else if (!_has_peer) {
        return err::destaddrreq;
    }
    if (_v6_only && to.address.is_v4()) {
        return err::netunreach;
    }
    if (_write_shut) {
        return err::pipe;
    }
    datagram_settings settings{
        .source = _local.address,
        .ttl = to.address.is_multicast() ? _multicast_ttl : _ttl,
        .service = _service};
    TRY(take_control(message, is_v6(), settings));
    to.scope = settings.interface_index != 0 ? settings.interface_index : to.scope;
    TRY(bind_if_needed());
    route way;
    TRY(way_to(to, settings.source, way));
    if (way.out->is_broadcast(to.address) && !_options.broadcast) {
        return err::acces;
    }
    packet_ptr packet = TRY(make_datagram(message.data, size));
    auto* header = header_at<udp_header>(packet->push(sizeof(udp_header)));
    header->source = _local.port;
    header->destination = to.port;
    header->length = static_cast<u16>(size + sizeof(udp_header));
    header->checksum = checksum_fold(pseudo_header_sum(
        way.source, to.address, ip_protocol::udp, static_cast<u32>(size + sizeof(udp_header))));
    packet->offload.checksum = true;
    packet->offload.checksum_offset = offsetof(udp_header, checksum);
    const bool never_cut = _mtu_discover == 2 || _mtu_discover == 3;
    const ip_send how{.source = way.source,
                      .destination = to.address,
                      .protocol = ip_protocol::udp,
                      .ttl = settings.ttl,
                      .service = settings.service,
                      .dont_fragment = never_cut,
                      .may_fragment = !never_cut};
    _net.counters.udp_sent.fetch_add(1, std::memory_order_relaxed);
    auto sent = ip_output(_net, std::move(packet), how, way);
    _net.run_pending();
    TRY(std::move(sent));
    return size;
}

result<void> udp_socket::set_option(i32 level, i32 name, std::span<const std::byte> value) {
    if (level == socket_level::udp) {
        const i32 number = TRY(option_int(value));
        if (name != 1) {
            return err::noprotoopt;
        }
        _cork = number != 0;
        return {};
    }
    return inet_socket::set_option(level, name, value);
}

result<usize> udp_socket::get_option(i32 level, i32 name, std::span<std::byte> value) {
    if (level == socket_level::udp) {
        return name == 1 ? put_option_int(value, _cork) : err::noprotoopt;
    }
    return inet_socket::get_option(level, name, value);
}

void udp_socket::close() {
    lock_guard guard(_lock);
    _net.udp_ports.unbind(_binding);
}

}  // namespace kiln::net

#include "net/raw.hh"

#include <algorithm>

#include "net/checksum.hh"
#include "net/stack.hh"

namespace kiln::net {
namespace {

constexpr i32 raw_level = 255;
constexpr i32 icmp_filter_option = 1;
constexpr u16 protocol_raw = 255;  // IPPROTO_RAW: sends only, header included
constexpr usize most_bytes = 65535;

const ipv4_header& header_of(const packet_buffer& packet) {
    return *reinterpret_cast<const ipv4_header*>(packet.data());
}

}  // namespace

// A raw socket's number is its protocol, where others have a port.
raw_socket::raw_socket(network_stack& stack, u16 protocol)
    : datagram_socket(stack, address_family::inet, socket_type::raw, protocol),
      _header_included(protocol == protocol_raw) {
    _local.port = protocol;
    _net.raw_sockets.add(*this);
}

raw_socket::~raw_socket() {
    _net.raw_sockets.remove(*this);
}

void raw_socket::close() {
    _net.raw_sockets.remove(*this);
}

// --- what arrives ---

bool raw_socket::filtered(const packet_buffer& packet) const {
    const usize at = header_of(packet).header_size();
    if (protocol() != ip_protocol::icmp || packet.size() <= at) {
        return false;
    }
    std::byte type;
    packet.copy_out(at, &type, 1);
    return static_cast<u8>(type) < 32 &&
           (_icmp_filter.load(std::memory_order_relaxed) >> static_cast<u8>(type) & 1) != 0;
}

bool raw_socket::wants(const packet_buffer& packet) const {
    const ipv4_header& header = header_of(packet);
    const u32 at = _listening_at.load(std::memory_order_relaxed);
    const u32 to = _listening_to.load(std::memory_order_relaxed);
    return header.protocol == protocol() && (at == 0 || at == header.destination) &&
           (to == 0 || to == header.source) && !filtered(packet);
}

void raw_table::add(raw_socket& socket) {
    lock_guard guard(_lock);
    _sockets.push_back(socket);
    _count.fetch_add(1, std::memory_order_relaxed);
}

void raw_table::remove(raw_socket& socket) {
    lock_guard guard(_lock);
    if (socket._link.linked()) {
        _sockets.remove(socket);
        _count.fetch_sub(1, std::memory_order_relaxed);
    }
}

void raw_table::deliver(const packet_buffer& packet) {
    if (_count.load(std::memory_order_relaxed) == 0) [[likely]] {
        return;
    }
    ref<raw_socket> receivers[most_receivers];
    usize count = 0;
    {
        lock_guard guard(_lock);
        for (raw_socket& each : _sockets) {
            if (count < most_receivers && each.wants(packet) && each.try_add_reference()) {
                receivers[count++] = ref<raw_socket>::adopt(&each);
            }
        }
    }
    for (usize at = 0; at < count; ++at) {
        auto copy = packet.clone();
        if (copy.ok()) {
            copy.value()->sequence = 0;  // no port
            receivers[at]->enqueue(copy.take());
        }
    }
}

// --- addresses ---

result<void> raw_socket::bind(const socket_address& address) {
    const ip_address wanted = TRY(to_endpoint(address)).address;
    const bool special = wanted.is_multicast() || wanted.is_limited_broadcast();
    if (!wanted.is_unspecified() && !special && !_net.is_local(wanted)) {
        return err::addrnotavail;
    }
    lock_guard guard(_lock);
    if (_has_peer) {
        return err::inval;
    }
    _local.address = wanted;
    _bound_address = !wanted.is_unspecified();
    _listening_at = special ? 0 : wanted.to_v4();
    return {};
}

result<void> raw_socket::connect(const socket_address& address, bool) {
    lock_guard guard(_lock);
    if (address.size >= 2 && address.family() == address_family::unspecified) {
        _has_peer = false;
        _listening_to = 0;
        if (!_bound_address) {
            _local.address = any_v4;
            _listening_at = 0;
        }
        return {};
    }
    endpoint to = TRY(to_endpoint(address));
    to.address = to.address.is_unspecified() ? loopback_v4 : to.address;
    route way;
    TRY(way_to(to, _bound_address ? _local.address : ip_address{}, way));
    if (way.out->is_broadcast(to.address) && !_options.broadcast) {
        return err::acces;
    }
    _peer = to;
    _has_peer = true;
    _local.address = way.source;
    _listening_at = way.source.to_v4();
    _listening_to = to.address.to_v4();
    return {};
}

// As on Linux, a peer that was named without a port is not told of.
result<void> raw_socket::peer_address(socket_address& to) {
    return _peer.port == 0 ? err::notconn : datagram_socket::peer_address(to);
}

// --- what is sent ---

result<endpoint> raw_socket::destination(const socket_message& message) const {
    endpoint to = _peer;
    if (message.address.size != 0) {
        to = TRY(to_endpoint(message.address));
    } else if (!_has_peer) {
        return err::destaddrreq;
    }
    to.address = to.address.is_unspecified() ? loopback_v4 : to.address;
    return to;
}

// What is left 0 of the program's header is filled in; length and checksum always are.
result<void> raw_socket::send_with_header(packet_ptr packet, const route& way) {
    if (packet->size() < sizeof(ipv4_header) || !packet->linearise(sizeof(ipv4_header))) {
        return err::inval;
    }
    const usize header_size = header_at<ipv4_header>(packet->data())->header_size();
    if (header_size < sizeof(ipv4_header) || header_size > packet->size() ||
        !packet->linearise(header_size)) {
        return err::inval;
    }
    if (packet->size() > way.out->mtu()) {
        return err::msgsize;
    }
    auto* header = header_at<ipv4_header>(packet->data());
    header->total_size = static_cast<u16>(packet->size());
    header->id = header->id == 0 ? _net.next_ip_id() : u16{header->id};
    header->source = header->source == 0 ? way.source.to_v4() : u32{header->source};
    header->checksum = 0;
    header->checksum = checksum_finish(checksum_add(0, {packet->data(), header_size}));
    _net.counters.ip_sent.fetch_add(1, std::memory_order_relaxed);
    way.out->send(std::move(packet), way.next_hop, false);
    return {};
}

result<usize> raw_socket::send(socket_message& message, u32 flags) {
    const usize size = message.data.remaining();
    if (size > most_bytes) {
        return err::msgsize;
    }
    if ((flags & message_flag::oob) != 0) {
        return err::opnotsupp;
    }
    endpoint to = TRY(destination(message));
    datagram_settings settings{
        .source = _local.address,
        .ttl = to.address.is_multicast() ? _multicast_ttl : _ttl,
        .service = _service};
    TRY(take_control(message, false, settings));
    to.scope = settings.interface_index != 0 ? settings.interface_index : to.scope;
    route way;
    TRY(way_to(to, settings.source, way));
    if (way.out->is_broadcast(to.address) && !_options.broadcast) {
        return err::acces;
    }
    // Linux looks at this on one of its two ways only.
    if (_write_shut && _header_included) {
        return err::pipe;
    }
    packet_ptr packet = TRY(make_datagram(message.data, size));
    const ip_send how{.source = way.source,
                      .destination = to.address,
                      .protocol = static_cast<u8>(protocol()),
                      .ttl = settings.ttl,
                      .service = settings.service,
                      .dont_fragment = false,
                      .may_fragment = true};
    auto sent = _header_included ? send_with_header(std::move(packet), way)
                                 : ip_output(_net, std::move(packet), how, way);
    _net.run_pending();
    TRY(std::move(sent));
    return size;
}

// --- options ---

result<void> raw_socket::set_option(i32 level, i32 name, std::span<const std::byte> value) {
    if (level == socket_level::ip && name == ip_option::header_included) {
        _header_included = TRY(option_int(value)) != 0;
        return {};
    }
    if (level != raw_level) {
        return datagram_socket::set_option(level, name, value);
    }
    if (name != icmp_filter_option) {
        return err::noprotoopt;
    }
    if (protocol() != ip_protocol::icmp) {
        return err::opnotsupp;
    }
    u32 filter = _icmp_filter;
    __builtin_memcpy(&filter, value.data(), std::min(value.size(), sizeof(filter)));
    _icmp_filter = filter;
    return {};
}

result<usize> raw_socket::get_option(i32 level, i32 name, std::span<std::byte> value) {
    if (level == socket_level::ip && name == ip_option::header_included) {
        return put_option_int(value, _header_included);
    }
    if (level != raw_level) {
        return datagram_socket::get_option(level, name, value);
    }
    if (name != icmp_filter_option) {
        return err::noprotoopt;
    }
    if (protocol() != ip_protocol::icmp) {
        return err::opnotsupp;
    }
    const u32 filter = _icmp_filter;
    return put_option(value, &filter, sizeof(filter));
}

}  // namespace kiln::net

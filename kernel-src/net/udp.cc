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
    : inet_socket(stack, family, socket_type::datagram, ip_protocol::udp) {}

udp_socket::~udp_socket() {
    _net.udp_ports.unbind(_binding);
}

void udp_socket::enqueue(packet_ptr packet) {
    {
        lock_guard guard(_queue_lock);
        const usize size = packet->true_size();
        if (_read_shut || _queued_bytes + size > 2 * usize{_options.receive_buffer}) {
            _net.counters.udp_errors.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        _queued_bytes += size;
        _received.push_back(std::move(packet));
    }
    _queue.wake(poll_event::in | poll_event::rdnorm);
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

result<void> udp_socket::way_to(const endpoint& to, const ip_address& source, route& way) {
    const u32 index = to.scope != 0                  ? to.scope
                      : to.address.is_multicast() ? _multicast_interface
                                                  : 0;
    way = TRY(_net.find_route(to.address, source, index));
    return {};
}

namespace {

result<packet_ptr> make_datagram(io_vector& from, usize size) {
    packet_ptr packet = TRY(packet_buffer::make());
    while (size != 0) {
        const bool small = size <= chunk::small_total - chunk::header_size;
        ref<chunk> memory = TRY(chunk::allocate(small ? chunk_size::small : chunk_size::large));
        const usize wanted = std::min(size, memory->capacity());
        const usize copied = TRY(from.take(memory->data(), wanted));
        if (copied != wanted) {
            return err::fault;
        }
        std::byte* bytes = memory->data();
        packet->append(std::move(memory), bytes, wanted);
        size -= wanted;
    }
    return packet;
}

}  // namespace

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

// The next datagram, or a copy of it.
result<packet_ptr> udp_socket::take(bool peek) {
    lock_guard guard(_queue_lock);
    if (_received.empty()) {
        return err::again;
    }
    if (peek) {
        return _received.front()->clone();
    }
    packet_ptr taken = _received.pop_front();
    _queued_bytes -= taken->true_size();
    return taken;
}

result<usize> udp_socket::receive(socket_message& message, u32 flags) {
    if ((flags & message_flag::error_queue) != 0) {
        return err::again;
    }
    const bool peek = (flags & message_flag::peek) != 0;
    const u64 until = receive_deadline();
    for (;;) {
        if (has_error()) {
            return take_error();
        }
        auto taken = take(peek);
        if (taken.ok()) {
            packet_ptr packet = taken.take();
            const usize size = packet->size();
            const usize room = std::min(size, message.data.remaining());
            err failed{0};
            packet->for_each_piece(0, room, [&](std::span<const std::byte> piece) {
                auto put = message.data.put(piece.data(), piece.size());
                const bool whole = put.ok() && put.value() == piece.size();
                failed = whole ? err{0} : err::fault;
                return whole;
            });
            if (failed != err{0}) {
                return failed;
            }
            from_endpoint({packet_source(*packet), static_cast<u16>(packet->sequence),
                           packet->from->index()},
                          message.address);
            report_control(*packet, message);
            message.flags |= size > room ? message_flag::truncated : 0;
            return (flags & message_flag::truncated) != 0 ? size : room;
        }
        if (taken.error() != err::again) {
            return taken.error();
        }
        if (_read_shut) {
            return usize{0};
        }
        if ((flags & message_flag::dont_wait) != 0) {
            return err::again;
        }
        TRY(wait_for([this] { return poll_events() & (poll_event::in | poll_event::error); }, until,
                     _options.receive_timeout != never));
    }
}

result<void> udp_socket::shutdown(i32 how) {
    if (how < shutdown_how::read || how > shutdown_how::both) {
        return err::inval;
    }
    const bool connected = _has_peer;
    _read_shut = _read_shut || how != shutdown_how::write;
    _write_shut = _write_shut || how != shutdown_how::read;
    _queue.wake(poll_event::in | poll_event::out | poll_event::hangup | poll_event::rdhup);
    return connected ? result<void>() : err::notconn;
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

result<usize> udp_socket::bytes_to_read() {
    lock_guard guard(_queue_lock);
    return _received.empty() ? usize{0} : _received.front()->size();
}

u32 udp_socket::poll_events() {
    using namespace poll_event;
    u32 events = out | wrnorm;
    events |= has_error() ? error : 0;
    {
        lock_guard guard(_queue_lock);
        events |= _received.empty() ? 0 : in | rdnorm;
    }
    events |= _read_shut ? in | rdnorm | rdhup : 0;
    events |= _read_shut && _write_shut ? hangup : 0;
    return events;
}

void udp_socket::close() {
    lock_guard guard(_lock);
    _net.udp_ports.unbind(_binding);
}

void udp_socket::network_error(err reason, bool hard, u32) {
    if (!_has_peer && !_receive_error) {
        return;
    }
    if (hard || _receive_error) {
        set_error(reason);
        _queue.wake(poll_event::error);
    }
}

}  // namespace kiln::net

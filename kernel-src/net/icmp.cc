// ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, and errors about packets that we sent.
#include <algorithm>

#include "net/checksum.hh"
#include "net/ip.hh"
#include "net/stack.hh"
#include "net/tcp_socket.hh"

namespace kiln::net {
namespace {

struct quoted_error {
    err reason = err::hostunreach;
    bool hard = false;
    u32 mtu = 0;
};

// What sockets are told, by code (Linux's icmp_err_convert).
quoted_error meaning_v4(u8 type, u8 code, u32 rest) {
    if (type == icmp_type::time_exceeded) {
        return {err::hostunreach, false};
    }
    switch (code) {
        case 0:
        case 6:
        case 9:
        case 11:
            return {err::netunreach, code == 6 || code == 9};
        case 2:
            return {err::noprotoopt, true};
        case 3:
            return {err::connrefused, true};
        case 4:
            return {err::msgsize, false, std::max<u32>(rest & 0xffff, 552)};
        case 5:
            return {err::opnotsupp, false};
        case 7:
            return {err::hostdown, true};
        case 8:
            return {err::hostunreach, true};
        default:
            return {err::hostunreach, code == 10 || code == 13 || code == 14 || code == 15};
    }
}

quoted_error meaning_v6(u8 type, u8 code, u32 rest) {
    if (type == icmp6_type::too_big) {
        return {err::msgsize, false, std::max<u32>(rest, 1280)};
    }
    if (type != icmp6_type::unreachable) {
        return {err::hostunreach, false};
    }
    switch (code) {
        case 0:
            return {err::netunreach, false};
        case 1:
            return {err::acces, true};
        case 4:
            return {err::connrefused, true};
        default:
            return {err::hostunreach, false};
    }
}

// Gives the error to the socket that sent the quoted packet.
void tell_socket(network_stack& stack, u8 protocol, const endpoint& local, const endpoint& remote,
                 u32 sequence, const quoted_error& error) {
    if (protocol == ip_protocol::tcp) {
        if (auto found = stack.tcp_flows.find({local, remote})) {
            found->quoted_error(sequence, error.reason, error.hard, error.mtu);
        }
    } else if (protocol == ip_protocol::udp) {
        if (auto found = stack.udp_ports.find_receiver(local, remote, 0, 0)) {
            found->network_error(error.reason, error.hard, error.mtu);
        }
    }
}

// The quoted packet starts the rest of `packet`.
void quoted_input(network_stack& stack, packet_ptr packet, bool v4, const quoted_error& error) {
    const usize least = v4 ? sizeof(ipv4_header) : sizeof(ipv6_header);
    if (!packet->linearise(least)) {
        return;
    }
    const usize header_size =
        v4 ? header_at<ipv4_header>(packet->data())->header_size() : sizeof(ipv6_header);
    if (header_size < least || !packet->linearise(header_size + 8)) {
        return;
    }
    const u8 version = static_cast<u8>(packet->data()[0]) >> 4;
    if (version != (v4 ? 4 : 6)) {
        return;
    }
    packet->network_header = packet->data();
    const u8 protocol = static_cast<u8>(packet->data()[v4 ? 9 : 6]);
    const std::byte* transport = packet->data() + header_size;
    const endpoint local{packet_source(*packet), load_be<u16>(transport)};
    const endpoint remote{packet_destination(*packet), load_be<u16>(transport + 2)};
    tell_socket(stack, protocol, local, remote, load_be<u32>(transport + 4), error);
}

void echo_reply(network_stack& stack, packet_ptr request, u8 type) {
    const ip_address to = packet_source(*request);
    ip_address from = packet_destination(*request);
    if (from.is_multicast() || request->is_broadcast) {
        if (from.is_v4()) {
            return;
        }
        from = request->from->source_for(to);
    }
    auto way = stack.find_route(to, from, request->from->index());
    auto made = packet_buffer::make();
    if (!way.ok() || !made.ok()) {
        return;
    }
    packet_ptr reply = made.take();
    // The payload goes back as it came, by reference to the request's memory or copied.
    std::byte* header = reply->push(sizeof(icmp_header));
    request->copy_out(0, header, sizeof(icmp_header));
    request->drop_front(sizeof(icmp_header));
    for (usize done = 0; done < request->size();) {
        auto memory = chunk::allocate(chunk_size::large);
        if (!memory.ok()) {
            return;
        }
        ref<chunk> copy = memory.take();
        const usize length = std::min(copy->capacity(), request->size() - done);
        std::byte* bytes = copy->data();
        request->copy_out(done, bytes, length);
        reply->append(std::move(copy), bytes, length);
        done += length;
    }
    auto* icmp = header_at<icmp_header>(reply->data());
    icmp->type = type;
    icmp->checksum = 0;
    const bool v4 = to.is_v4();
    u32 sum = v4 ? 0
                 : pseudo_header_sum(from, to, ip_protocol::icmpv6, static_cast<u32>(reply->size()));
    icmp->checksum = checksum_finish(checksum_add(sum, *reply, 0, reply->size()));
    const ip_send how{.source = from,
                      .destination = to,
                      .protocol = v4 ? ip_protocol::icmp : ip_protocol::icmpv6,
                      .dont_fragment = false,
                      .may_fragment = true};
    static_cast<void>(ip_output(stack, std::move(reply), how, way.value()));
}

}  // namespace

void icmp_input(network_stack& stack, packet_ptr packet) {
    if (!packet->linearise(sizeof(icmp_header)) ||
        checksum_fold(checksum_add(0, *packet, 0, packet->size())) != 0xffff) {
        return;
    }
    const auto* header = header_at<icmp_header>(packet->data());
    const u8 type = header->type;
    if (type == icmp_type::echo) {
        echo_reply(stack, std::move(packet), icmp_type::echo_reply);
    } else if (type == icmp_type::unreachable || type == icmp_type::time_exceeded) {
        const quoted_error error = meaning_v4(type, header->code, header->rest);
        packet->pull(sizeof(icmp_header));
        quoted_input(stack, std::move(packet), true, error);
    }
}

void icmp6_input(network_stack& stack, packet_ptr packet) {
    if (!packet->linearise(sizeof(icmp_header))) {
        return;
    }
    const u32 sum = pseudo_header_sum(packet_source(*packet), packet_destination(*packet),
                                      ip_protocol::icmpv6, static_cast<u32>(packet->size()));
    if (checksum_fold(checksum_add(sum, *packet, 0, packet->size())) != 0xffff) {
        return;
    }
    const auto* header = header_at<icmp_header>(packet->data());
    const u8 type = header->type;
    if (type == icmp6_type::echo) {
        echo_reply(stack, std::move(packet), icmp6_type::echo_reply);
    } else if (type < 128) {
        const quoted_error error = meaning_v6(type, header->code, header->rest);
        packet->pull(sizeof(icmp_header));
        quoted_input(stack, std::move(packet), false, error);
    } else if (type >= icmp6_type::router_solicit && type <= icmp6_type::neighbour_advertise) {
        interface& on = *packet->from;
        ndp_input(on, type, std::move(packet));
    }
}

void send_icmp6(interface& on, packet_ptr packet, const ip_address& source,
                const ip_address& destination, u8 hop_limit) {
    auto* header = header_at<icmp_header>(packet->data());
    header->checksum = 0;
    const u32 sum = pseudo_header_sum(source, destination, ip_protocol::icmpv6,
                                      static_cast<u32>(packet->size()));
    header->checksum = checksum_finish(checksum_add(sum, *packet, 0, packet->size()));
    const ip_send how{.source = source,
                      .destination = destination,
                      .protocol = ip_protocol::icmpv6,
                      .ttl = hop_limit};
    const route way{.out = &on, .next_hop = destination, .source = source};
    static_cast<void>(ip_output(on.stack(), std::move(packet), how, way));
}

void send_port_unreachable(network_stack& stack, const packet_buffer& about) {
    const ip_address to = packet_source(about);
    const ip_address from = packet_destination(about);
    if (from.is_multicast() || about.is_broadcast || to.is_unspecified()) {
        return;
    }
    auto way = stack.find_route(to, from);
    auto made = packet_buffer::make();
    if (!way.ok() || !made.ok()) {
        return;
    }
    const bool v4 = to.is_v4();
    // The header and 8 bytes are what everybody needs of the packet (RFC 1122, 3.2.2).
    const usize quoted = static_cast<usize>(about.data() - about.network_header) + 8;
    packet_ptr packet = made.take();
    if (about.linear_size() < 8 || quoted > packet_buffer::head_room - 64) {
        return;
    }
    __builtin_memcpy(packet->push(quoted), about.network_header, quoted);
    auto* header = header_at<icmp_header>(packet->push(sizeof(icmp_header)));
    header->type = v4 ? icmp_type::unreachable : icmp6_type::unreachable;
    header->code = v4 ? 3 : 4;
    header->rest = 0;
    header->checksum = 0;
    const u8 protocol = v4 ? ip_protocol::icmp : ip_protocol::icmpv6;
    const u32 sum =
        v4 ? 0 : pseudo_header_sum(from, to, protocol, static_cast<u32>(packet->size()));
    header->checksum = checksum_finish(checksum_add(sum, *packet, 0, packet->size()));
    const ip_send how{.source = from, .destination = to, .protocol = protocol};
    static_cast<void>(ip_output(stack, std::move(packet), how, way.value()));
}

}  // namespace kiln::net

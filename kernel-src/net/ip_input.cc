// Received IP packets: header checks, the destination, fragments, and on to the protocol.
#include "net/checksum.hh"
#include "net/ip.hh"
#include "net/reassembly.hh"
#include "net/stack.hh"
#include "net/tcp.hh"
#include "net/udp.hh"

namespace kiln::net {
namespace {

constexpr u8 hop_by_hop = 0, routing = 43, fragment_header = 44, no_next = 59, destination_options = 60;

bool for_us(interface& on, const ip_address& destination) {
    if (destination.is_multicast() || on.is_broadcast(destination)) {
        return true;
    }
    return on.stack().is_local(destination);
}

// What never may come from a wire.
bool martian(const interface& on, const ip_address& source, const ip_address& destination) {
    if (source.is_multicast() || source.is_limited_broadcast()) {
        return true;
    }
    return !on.is_loopback() && (source.is_loopback() || destination.is_loopback());
}

}  // namespace

ip_address packet_source(const packet_buffer& packet) {
    const u8 version = static_cast<u8>(*packet.network_header) >> 4;
    return version == 4 ? ip_address::v4_bytes(packet.network_header + 12)
                        : ip_address::v6_bytes(packet.network_header + 8);
}

ip_address packet_destination(const packet_buffer& packet) {
    const u8 version = static_cast<u8>(*packet.network_header) >> 4;
    return version == 4 ? ip_address::v4_bytes(packet.network_header + 16)
                        : ip_address::v6_bytes(packet.network_header + 24);
}

u8 packet_ttl(const packet_buffer& packet) {
    const bool v4 = static_cast<u8>(*packet.network_header) >> 4 == 4;
    return static_cast<u8>(packet.network_header[v4 ? 8 : 7]);
}

u8 packet_service(const packet_buffer& packet) {
    const u32 word = load_be<u32>(packet.network_header);
    return static_cast<u8>(word >> 28 == 4 ? word >> 16 : word >> 20);
}

void transport_input(network_stack& stack, u8 protocol, packet_ptr packet) {
    switch (protocol) {
        case ip_protocol::tcp:
            return tcp_input(stack, std::move(packet));
        case ip_protocol::udp:
            return udp_input(stack, std::move(packet));
        case ip_protocol::icmp:
            return icmp_input(stack, std::move(packet));
        case ip_protocol::icmpv6:
            return icmp6_input(stack, std::move(packet));
        default:
            return;
    }
}

void ipv4_input(interface& on, packet_ptr packet) {
    network_stack& stack = on.stack();
    if (!packet->linearise(sizeof(ipv4_header))) {
        return;
    }
    usize header_size = header_at<ipv4_header>(packet->data())->header_size();
    if (header_size < sizeof(ipv4_header) || !packet->linearise(header_size)) {
        return;
    }
    const auto* header = header_at<ipv4_header>(packet->data());
    const usize total = header->total_size;
    if (header->version_and_size >> 4 != 4 || total < header_size || total > packet->size()) {
        return;
    }
    if (!packet->is_loopback &&
        checksum_fold(checksum_add(0, {packet->data(), header_size})) != 0xffff) {
        return;
    }
    const ip_address source = ip_address::v4(header->source);
    const ip_address destination = ip_address::v4(header->destination);
    if (martian(on, source, destination)) {
        return;
    }
    packet->trim(total);
    packet->network_header = packet->data();
    if (!for_us(on, destination) && !stack.unconfigured_input(on, *packet)) {
        return;
    }
    if ((header->fragment & (ipv4_header::more_fragments | ipv4_header::offset_mask)) != 0) {
        const u16 field = header->fragment;
        packet = stack.fragments.add(
            std::move(packet),
            {.source = source, .destination = destination, .id = header->id,
             .protocol = header->protocol},
            header_size, (field & ipv4_header::offset_mask) * 8u,
            (field & ipv4_header::more_fragments) != 0);
        if (!packet) {
            return;
        }
        header_size = header_at<ipv4_header>(packet->data())->header_size();
    }
    const u8 protocol = header_at<ipv4_header>(packet->data())->protocol;
    stack.raw_sockets.deliver(*packet);
    packet->pull(header_size);
    transport_input(stack, protocol, std::move(packet));
}

namespace {

// Goes over extension headers (RFC 8200, 4). Returns false when the packet is done with.
bool skip_extensions(network_stack& stack, packet_ptr& packet, u8& next, usize& offset) {
    while (next == hop_by_hop || next == routing || next == destination_options ||
           next == fragment_header) {
        if (!packet->linearise(offset + 8)) {
            return false;
        }
        const std::byte* at = packet->data() + offset;
        const u8 after = static_cast<u8>(at[0]);
        if (next != fragment_header) {
            offset += (static_cast<usize>(at[1]) + 1) * 8;
            next = after;
            continue;
        }
        const u16 field = load_be<u16>(at + 2);
        packet->network_header = packet->data();
        const fragment_key key{.source = packet_source(*packet),
                               .destination = packet_destination(*packet),
                               .id = load_be<u32>(at + 4),
                               .protocol = after};
        next = after;
        if ((field & 0xfff9) == 0) {  // an atomic fragment, RFC 6946
            offset += 8;
            continue;
        }
        packet = stack.fragments.add(std::move(packet), key, offset + 8, field & 0xfff8u,
                                     (field & 1) != 0);
        if (!packet) {
            return false;
        }
        offset += 8;
    }
    return next != no_next && packet->linearise(offset);
}

}  // namespace

void ipv6_input(interface& on, packet_ptr packet) {
    network_stack& stack = on.stack();
    if (!packet->linearise(sizeof(ipv6_header))) {
        return;
    }
    const auto* header = header_at<ipv6_header>(packet->data());
    const usize total = sizeof(ipv6_header) + header->payload_size;
    if (header->version_class_flow >> 28 != 6 || total > packet->size()) {
        return;
    }
    const ip_address source = ip_address::v6_bytes(header->source);
    const ip_address destination = ip_address::v6_bytes(header->destination);
    // IPv4-mapped addresses never appear on a wire.
    if (martian(on, source, destination) || source.is_v4() || destination.is_v4()) {
        return;
    }
    // Jumbo-sized packets of loopback say 0 and are not cut.
    if (header->payload_size != 0 || !packet->is_loopback) {
        packet->trim(total);
    }
    if (!for_us(on, destination) && !on.has_address(destination, true)) {
        return;
    }
    u8 next = header->next_header;
    usize offset = sizeof(ipv6_header);
    if (!skip_extensions(stack, packet, next, offset)) {
        return;
    }
    packet->network_header = packet->data();
    packet->pull(offset);
    transport_input(stack, next, std::move(packet));
}

}  // namespace kiln::net

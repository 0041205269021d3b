// IP packets that leave: header, fragments where allowed, and off to the interface.
#include <algorithm>

#include "net/checksum.hh"
#include "net/ip.hh"
#include "net/stack.hh"

namespace kiln::net {
namespace {

constexpr usize fragment_header_size = 8;
constexpr u8 next_header_fragment = 44;

void push_v4(network_stack& stack, packet_buffer& packet, const ip_send& how, u16 id, u16 fragment) {
    auto* header = header_at<ipv4_header>(packet.push(sizeof(ipv4_header)));
    header->version_and_size = 0x45;
    header->service = how.service;
    header->total_size = static_cast<u16>(packet.size());
    header->id = id;
    header->fragment = fragment;
    header->ttl = how.ttl;
    header->protocol = how.protocol;
    header->checksum = 0;
    header->source = how.source.to_v4();
    header->destination = how.destination.to_v4();
    header->checksum = checksum_finish(checksum_add(0, {packet.data(), sizeof(ipv4_header)}));
    static_cast<void>(stack);
}

void push_v6(packet_buffer& packet, const ip_send& how, u8 next) {
    const usize payload = packet.size();
    auto* header = header_at<ipv6_header>(packet.push(sizeof(ipv6_header)));
    header->version_class_flow = 6u << 28 | u32{how.service} << 20;
    // Segments of a large send may be more than 65535 on loopback: 0 then (as in RFC 2675).
    header->payload_size = payload > 65535 ? u16{0} : static_cast<u16>(payload);
    header->next_header = next;
    header->hop_limit = how.ttl;
    __builtin_memcpy(header->source, how.source.bytes, 16);
    __builtin_memcpy(header->destination, how.destination.bytes, 16);
}

// Copies [offset, offset + size) of a datagram into a packet of its own.
result<packet_ptr> slice(const packet_buffer& whole, usize offset, usize size) {
    packet_ptr part = TRY(packet_buffer::make());
    while (size != 0) {
        ref<chunk> memory = TRY(chunk::allocate(chunk_size::small));
        const usize length = std::min(size, memory->capacity());
        std::byte* bytes = memory->data();
        whole.copy_out(offset, bytes, length);
        if (!part->append(std::move(memory), bytes, length)) {
            return err::msgsize;
        }
        offset += length;
        size -= length;
    }
    return part;
}

// The transport checksum cannot be left to the device when the datagram is cut.
void finish_checksum(packet_buffer& packet) {
    if (packet.offload.checksum) {
        fill_checksum(packet);
    }
}

result<void> send_fragments(network_stack& stack, packet_ptr whole, const ip_send& how,
                            const route& way) {
    finish_checksum(*whole);
    const bool v4 = how.destination.is_v4();
    const usize overhead = v4 ? sizeof(ipv4_header) : sizeof(ipv6_header) + fragment_header_size;
    const usize step = align_down(way.out->mtu() - overhead, 8);
    const u16 id = stack.next_ip_id();
    for (usize offset = 0; offset < whole->size(); offset += step) {
        const usize size = std::min(step, whole->size() - offset);
        const bool more = offset + size < whole->size();
        packet_ptr part = TRY(slice(*whole, offset, size));
        if (v4) {
            push_v4(stack, *part, how, id,
                    static_cast<u16>(offset / 8 | (more ? ipv4_header::more_fragments : 0)));
        } else {
            std::byte* header = part->push(fragment_header_size);
            header[0] = static_cast<std::byte>(how.protocol);
            header[1] = std::byte{0};
            store_be<u16>(header + 2, static_cast<u16>(offset | (more ? 1 : 0)));
            store_be<u32>(header + 4, id | u32{id} << 16);
            push_v6(*part, how, next_header_fragment);
        }
        way.out->send(std::move(part), way.next_hop, more);
    }
    return {};
}

}  // namespace

void fill_checksum(packet_buffer& packet) {
    const usize start = packet.offload.checksum_start;
    const u16 sum = checksum_finish(checksum_add(0, packet, start, packet.size() - start));
    std::byte* field = packet.data() + start + packet.offload.checksum_offset;
    // A computed 0 is sent as all ones; UDP needs it, TCP does not mind (RFC 768).
    store<u16>(field, sum == 0 ? u16{0xffff} : sum);
    packet.offload.checksum = false;
}

result<void> ip_output(network_stack& stack, packet_ptr packet, const ip_send& how, const route& way,
                       bool more) {
    stack.counters.ip_sent.fetch_add(1, std::memory_order_relaxed);
    const bool v4 = how.destination.is_v4();
    const usize header_size = v4 ? sizeof(ipv4_header) : sizeof(ipv6_header);
    const bool segments = packet->offload.kind != transmit_offload::segmentation::none;
    if (packet->offload.checksum) {
        if (way.local) {
            packet->offload.checksum = false;
            packet->checksum_valid = true;
        } else if ((way.out->features() & device_feature::transmit_checksum) == 0) {
            fill_checksum(*packet);
        }
    }
    if (packet->size() + header_size > way.out->mtu() && !segments) {
        if (!how.may_fragment) {
            return err::msgsize;
        }
        if (!way.local) {
            return send_fragments(stack, std::move(packet), how, way);
        }
    }
    if (v4) {
        push_v4(stack, *packet, how, how.dont_fragment && !segments ? u16{0} : stack.next_ip_id(),
                how.dont_fragment ? ipv4_header::dont_fragment : u16{0});
    } else {
        push_v6(*packet, how, how.protocol);
    }
    packet->offload.checksum_start += static_cast<u16>(header_size);
    packet->offload.header_size += static_cast<u16>(header_size);
    way.out->send(std::move(packet), way.next_hop, more);
    return {};
}

}  // namespace kiln::net

// TCP segments to and from bytes.
#include "net/checksum.hh"
#include "net/stack.hh"
#include "net/tcp.hh"

namespace kiln::net {
namespace {

namespace option_kind {
constexpr u8 end = 0, nop = 1, mss = 2, scale = 3, sack_permitted = 4, sack = 5, timestamp = 8;
}

void take_sacks(std::span<const std::byte> body, tcp_options& to) {
    for (usize at = 0; at + 8 <= body.size() && to.sack_count < tcp_options::max_sacks; at += 8) {
        to.sacks[to.sack_count++] = {load_be<u32>(&body[at]), load_be<u32>(&body[at + 4])};
    }
}

void take_option(u8 kind, std::span<const std::byte> body, tcp_options& to) {
    if (kind == option_kind::mss && body.size() == 2) {
        to.has_mss = true;
        to.mss = load_be<u16>(body.data());
    } else if (kind == option_kind::scale && body.size() == 1) {
        to.has_scale = true;
        to.scale = static_cast<u8>(body[0]) > 14 ? u8{14} : static_cast<u8>(body[0]);
    } else if (kind == option_kind::sack_permitted && body.empty()) {
        to.sack_permitted = true;
    } else if (kind == option_kind::timestamp && body.size() == 8) {
        to.has_timestamp = true;
        to.timestamp = load_be<u32>(&body[0]);
        to.echo = load_be<u32>(&body[4]);
    } else if (kind == option_kind::sack && body.size() % 8 == 0) {
        take_sacks(body, to);
    }
}

std::byte* put_kind(std::byte* to, u8 kind, usize body) {
    to[0] = static_cast<std::byte>(kind);
    to[1] = static_cast<std::byte>(body + 2);
    return to + 2;
}

std::byte* put_nops(std::byte* to, usize count) {
    while (count-- != 0) {
        *to++ = static_cast<std::byte>(option_kind::nop);
    }
    return to;
}

}  // namespace

tcp_options parse_tcp_options(std::span<const std::byte> bytes) {
    tcp_options found;
    while (!bytes.empty()) {
        const u8 kind = static_cast<u8>(bytes[0]);
        if (kind == option_kind::end) {
            break;
        }
        if (kind == option_kind::nop) {
            bytes = bytes.subspan(1);
            continue;
        }
        const usize size = bytes.size() < 2 ? 0 : static_cast<usize>(bytes[1]);
        if (size < 2 || size > bytes.size()) {
            break;
        }
        take_option(kind, bytes.subspan(2, size - 2), found);
        bytes = bytes.subspan(size);
    }
    return found;
}

usize write_tcp_options(const tcp_options& options, std::byte* to) {
    std::byte* at = to;
    if (options.has_mss) {
        at = put_kind(at, option_kind::mss, 2);
        store_be<u16>(at, options.mss);
        at += 2;
    }
    if (options.sack_permitted) {
        at = put_kind(options.has_timestamp ? at : put_nops(at, 2), option_kind::sack_permitted, 0);
    }
    if (options.has_timestamp) {
        at = put_kind(options.sack_permitted ? at : put_nops(at, 2), option_kind::timestamp, 8);
        store_be<u32>(at, options.timestamp);
        store_be<u32>(at + 4, options.echo);
        at += 8;
    }
    if (options.has_scale) {
        at = put_kind(put_nops(at, 1), option_kind::scale, 1);
        *at++ = static_cast<std::byte>(options.scale);
    }
    if (options.sack_count != 0) {
        at = put_kind(put_nops(at, 2), option_kind::sack, 8u * options.sack_count);
        for (usize i = 0; i < options.sack_count; ++i, at += 8) {
            store_be<u32>(at, options.sacks[i].start);
            store_be<u32>(at + 4, options.sacks[i].end);
        }
    }
    return static_cast<usize>(at - to);
}

bool parse_segment(packet_ptr packet, tcp_segment& to) {
    const auto* header = header_at<tcp_header>(packet->data());
    const usize header_size = header->header_size();
    if (!packet->checksum_valid) {
        const u32 sum = pseudo_header_sum(packet_source(*packet), packet_destination(*packet),
                                          ip_protocol::tcp, static_cast<u32>(packet->size()));
        if (checksum_fold(checksum_add(sum, *packet, 0, packet->size())) != 0xffff) {
            return false;
        }
    }
    to.source_port = header->source;
    to.destination_port = header->destination;
    to.sequence = header->sequence;
    to.acknowledgment = header->acknowledgment;
    to.flags = header->flags;
    to.header_size = static_cast<u16>(header_size);
    to.window = header->window;
    to.urgent = header->urgent;
    to.options = parse_tcp_options({packet->data() + sizeof(tcp_header),
                                    header_size - sizeof(tcp_header)});
    packet->pull(header_size);
    to.length = static_cast<u32>(packet->size());
    to.packet = std::move(packet);
    return true;
}

void send_bare(network_stack& stack, const bare_segment& segment) {
    auto way = stack.find_route(segment.remote.address, segment.local.address, segment.remote.scope);
    auto made = packet_buffer::make();
    if (!way.ok() || !made.ok()) {
        return;
    }
    packet_ptr packet = made.take();
    std::byte options[40];
    const usize option_size = write_tcp_options(segment.options, options);
    __builtin_memcpy(packet->push(option_size), options, option_size);
    auto* header = header_at<tcp_header>(packet->push(sizeof(tcp_header)));
    header->source = segment.local.port;
    header->destination = segment.remote.port;
    header->sequence = segment.sequence;
    header->acknowledgment = segment.acknowledgment;
    header->data_offset = static_cast<u8>((sizeof(tcp_header) + option_size) / 4 << 4);
    header->flags = segment.flags;
    header->window = segment.window;
    header->urgent = 0;
    header->checksum = checksum_fold(
        pseudo_header_sum(segment.local.address, segment.remote.address, ip_protocol::tcp,
                          static_cast<u32>(packet->size())));
    packet->offload.checksum = true;
    packet->offload.checksum_offset = offsetof(tcp_header, checksum);
    stack.counters.tcp_segments_sent.fetch_add(1, std::memory_order_relaxed);
    const ip_send how{.source = segment.local.address,
                      .destination = segment.remote.address,
                      .protocol = ip_protocol::tcp,
                      .ttl = segment.ttl,
                      .service = segment.service};
    static_cast<void>(ip_output(stack, std::move(packet), how, way.value()));
}

void send_reset_for(network_stack& stack, const tcp_segment& segment) {
    if (segment.has(tcp_header::rst)) {
        return;
    }
    stack.counters.tcp_resets_sent.fetch_add(1, std::memory_order_relaxed);
    bare_segment reset{.local = {packet_destination(*segment.packet), segment.destination_port},
                       .remote = {packet_source(*segment.packet), segment.source_port}};
    if (segment.has(tcp_header::ack)) {
        reset.flags = tcp_header::rst;
        reset.sequence = segment.acknowledgment;
    } else {
        reset.flags = tcp_header::rst | tcp_header::ack;
        reset.acknowledgment = segment.end();
    }
    send_bare(stack, reset);
}

}  // namespace kiln::net

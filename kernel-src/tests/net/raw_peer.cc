#include "tests/net/raw_peer.hh"

#include <gtest/gtest.h>

#include <cstring>

#include "net/checksum.hh"

namespace kiln::net::test {
namespace {

constexpr ip_address peer_address = ip_address::v4(10, 0, 0, 9);
constexpr ip_address stack_address = ip_address::v4(10, 0, 0, 2);
constexpr mac_address peer_mac = {{2, 0, 0, 0, 0, 9}};

std::span<const std::byte> view(const std::vector<u8>& bytes, usize from, usize size) {
    return {reinterpret_cast<const std::byte*>(bytes.data()) + from, size};
}

}  // namespace

void raw_peer::send(const raw_segment& wanted) {
    tcp_options options = wanted.options;
    if (timestamps && !options.has_timestamp) {
        options.has_timestamp = true;
        options.timestamp = timestamp;
        options.echo = echo;
    }
    std::byte option_bytes[40];
    const usize option_size = write_tcp_options(options, option_bytes);
    const usize tcp_size = sizeof(tcp_header) + option_size + wanted.data.size();
    std::vector<u8> frame(14 + 20 + tcp_size, 0);
    auto* ethernet = reinterpret_cast<ethernet_header*>(frame.data());
    ethernet->destination = _to.card.mac();
    ethernet->source = peer_mac;
    ethernet->type = ether_type::ipv4;
    auto* ip = reinterpret_cast<ipv4_header*>(&frame[14]);
    ip->version_and_size = 0x45;
    ip->total_size = static_cast<u16>(20 + tcp_size);
    ip->ttl = 64;
    ip->protocol = ip_protocol::tcp;
    ip->source = peer_address.to_v4();
    ip->destination = stack_address.to_v4();
    ip->checksum = checksum_finish(checksum_add(0, view(frame, 14, 20)));
    auto* tcp = reinterpret_cast<tcp_header*>(&frame[34]);
    tcp->source = port;
    tcp->destination = their_port;
    tcp->sequence = wanted.sequence;
    tcp->acknowledgment = wanted.acknowledgment;
    tcp->data_offset = static_cast<u8>((20 + option_size) / 4 << 4);
    tcp->flags = wanted.flags;
    tcp->window = wanted.window;
    std::memcpy(&frame[54], option_bytes, option_size);
    std::memcpy(frame.data() + 54 + option_size, wanted.data.data(), wanted.data.size());
    const u32 sum = pseudo_header_sum(peer_address, stack_address, ip_protocol::tcp,
                                      static_cast<u32>(tcp_size));
    tcp->checksum = checksum_finish(checksum_add(sum, view(frame, 34, tcp_size)));
    _to.eth->neighbours().learn(peer_address, peer_mac, true, true);
    _to.card.receive(frame);
    _to.card.receiver()->batch_end();
}

std::vector<raw_segment> raw_peer::take() {
    std::vector<raw_segment> taken;
    while (!_to.card.sent.empty()) {
        const std::vector<u8> frame = std::move(_to.card.sent.front());
        _to.card.sent.pop_front();
        if (frame.size() < 54 || frame[12] != 8 || frame[13] != 0 || frame[23] != ip_protocol::tcp) {
            continue;
        }
        const auto* ip = reinterpret_cast<const ipv4_header*>(&frame[14]);
        const usize size = ip->total_size - 20u;
        const u32 sum = pseudo_header_sum(stack_address, ip_address::v4(ip->destination),
                                          ip_protocol::tcp, static_cast<u32>(size));
        EXPECT_EQ(checksum_fold(checksum_add(sum, view(frame, 34, size))), 0xffff);
        const auto* tcp = reinterpret_cast<const tcp_header*>(&frame[34]);
        const usize header = tcp->header_size();
        raw_segment seen{.sequence = tcp->sequence,
                         .acknowledgment = tcp->acknowledgment,
                         .flags = tcp->flags,
                         .window = tcp->window,
                         .options = parse_tcp_options(view(frame, 54, header - 20)),
                         .data = std::string(frame.begin() + static_cast<long>(34 + header),
                                             frame.begin() + static_cast<long>(34 + size)),
                         .source_port = tcp->source,
                         .destination_port = tcp->destination};
        if (seen.options.has_timestamp) {
            echo = seen.options.timestamp;
        }
        taken.push_back(std::move(seen));
    }
    return taken;
}

raw_segment raw_peer::only() {
    std::vector<raw_segment> taken = take();
    EXPECT_EQ(taken.size(), 1u);
    return taken.empty() ? raw_segment{} : taken[0];
}

void raw_peer::run(u64 duration) {
    const u64 end = now() + duration;
    for (;;) {
        _to.eth->neighbours().learn(peer_address, peer_mac, true, true);
        const u64 next_timer = _to.stack.timers.run(now());
        _to.stack.run_pending();
        if (now() >= end) {
            return;
        }
        host::set_time(std::max(now() + 1, std::min(next_timer, end)));
    }
}

void raw_peer::open(const tcp_options& options, u16 offered) {
    window = offered;
    timestamps = options.has_timestamp;
    raw_segment syn{.sequence = next, .flags = tcp_header::syn, .window = offered, .options = options};
    if (timestamps) {
        syn.options.timestamp = timestamp;
    }
    send(syn);
    const raw_segment answer = only();
    EXPECT_EQ(answer.flags, tcp_header::syn | tcp_header::ack);
    EXPECT_EQ(answer.acknowledgment, next + 1);
    expected = answer.sequence + 1;
    ++next;
    send(segment(tcp_header::ack));
}

void raw_peer::say(std::string_view data, u8 flags) {
    raw_segment made = segment(flags);
    made.data = data;
    send(made);
    next += static_cast<u32>(data.size()) + ((flags & tcp_header::fin) != 0 ? 1 : 0);
}

}  // namespace kiln::net::test

// UDP, ICMP, fragments, DHCP between two stacks joined by a wire in memory.
#include <gtest/gtest.h>

#include <cstring>

#include "net/checksum.hh"
#include "net/udp.hh"
#include "net/wire.hh"
#include "tests/net/link.hh"

using namespace kiln;
using namespace kiln::net;
using namespace kiln::net::test;

namespace {

struct udp_pair : ::testing::Test, still_clock {
    ~udp_pair() override {
        for (auto& each : opened) {
            each->close();
        }
    }
    ref<udp_socket> open(machine& at, std::string_view address = "", u16 port = 0) {
        const bool v6 = address.find(':') != address.npos;
        auto made = make_ref<udp_socket>(at.stack, v6 ? address_family::inet6 : address_family::inet).take();
        if (!address.empty()) {
            EXPECT_TRUE(made->bind(to_sockaddr(address, port)).ok());
        }
        opened.push_back(made);
        return made;
    }
    static result<usize> send_to(socket& from, std::string_view bytes, std::string_view address, u16 port) {
        io_vector data = io_vector::kernel(std::as_bytes(std::span(bytes)));
        socket_message message(data);
        message.address = to_sockaddr(address, port);
        return from.send(message, message_flag::dont_wait);
    }

    machine left{1, prefix("10.0.0.1/24")};
    machine right{2, prefix("10.0.0.2/24")};
    wire link{left, right};
    std::vector<ref<udp_socket>> opened;
};

}  // namespace

TEST_F(udp_pair, datagrams_come_whole_with_their_sender) {
    auto server = open(right, "0.0.0.0", 53);
    auto client = open(left);
    EXPECT_EQ(send_to(*client, "query", "10.0.0.2", 53).value(), 5u);
    link.pump();
    char buffer[3];
    io_vector data = io_vector::kernel(buffer, sizeof(buffer));
    socket_message message(data);
    EXPECT_EQ(server->receive(message, message_flag::dont_wait).value(), 3u);
    EXPECT_NE(message.flags & message_flag::truncated, 0u);
    socket_address own;
    ASSERT_TRUE(client->local_address(own).ok());
    EXPECT_EQ(std::memcmp(message.address.bytes + 2, own.bytes + 2, 2), 0);
    EXPECT_EQ(server->poll_events() & poll_event::in, 0u);
}

TEST_F(udp_pair, large_datagrams_are_cut_and_joined_whatever_the_order) {
    auto server = open(right, "10.0.0.2", 53);
    auto client = open(left);
    std::string text(60000, '\0');
    for (usize i = 0; i < text.size(); ++i) {
        text[i] = static_cast<char>(i * 7 + i / 256);
    }
    u32 count = 0;
    link.decide = [&](bool, std::vector<u8>&) {
        ++count;
        return count % 3 == 0 ? fate::delay : count % 5 == 0 ? fate::duplicate : fate::deliver;
    };
    EXPECT_EQ(send_to(*client, text, "10.0.0.2", 53).value(), text.size());
    link.run(ns_per_s);
    EXPECT_GT(link.frames_right, 40u);
    EXPECT_EQ(receive_bytes(*server, 65536), text);
    // One lost fragment loses the whole, and what is kept of it goes after a while.
    link.decide = [&](bool, std::vector<u8>&) { return ++count % 20 == 0 ? fate::drop : fate::deliver; };
    EXPECT_EQ(send_to(*client, text, "10.0.0.2", 53).value(), text.size());
    link.run(31 * ns_per_s);
    std::string got;
    EXPECT_EQ(try_receive(*server, got, 10, message_flag::dont_wait).error(), err::again);
}

TEST_F(udp_pair, nobody_there_is_told_to_a_connected_socket) {
    auto client = open(left);
    ASSERT_TRUE(client->connect(to_sockaddr("10.0.0.2", 99), true).ok());
    EXPECT_EQ(send_bytes(*client, "x").value(), 1u);
    link.pump();
    EXPECT_NE(client->poll_events() & poll_event::error, 0u);
    std::string got;
    EXPECT_EQ(try_receive(*client, got, 10, message_flag::dont_wait).error(), err::connrefused);
    EXPECT_EQ(try_receive(*client, got, 10, message_flag::dont_wait).error(), err::again);
}

TEST_F(udp_pair, connected_sockets_hear_only_their_peer) {
    auto server = open(right, "10.0.0.2", 53);
    auto client = open(left, "10.0.0.1", 1000);
    ASSERT_TRUE(client->connect(to_sockaddr("10.0.0.2", 54), true).ok());
    EXPECT_EQ(send_to(*server, "stranger", "10.0.0.1", 1000).value(), 8u);
    link.pump();
    std::string got;
    EXPECT_EQ(try_receive(*client, got, 10, message_flag::dont_wait).error(), err::again);
}

TEST_F(udp_pair, unknown_neighbour_is_unreachable) {
    auto client = open(left);
    ASSERT_TRUE(client->connect(to_sockaddr("10.0.0.77", 9), true).ok());
    EXPECT_EQ(send_bytes(*client, "x").value(), 1u);
    ASSERT_TRUE(link.run_until([&] { return client->has_error(); }, 10 * ns_per_s));
    EXPECT_EQ(client->take_error(), err::hostunreach);
    EXPECT_EQ(send_to(*client, "x", "192.168.7.7", 9).error(), err::netunreach);
}

TEST_F(udp_pair, bad_checksums_are_dropped) {
    auto server = open(right, "10.0.0.2", 53);
    auto client = open(left);
    link.decide = [](bool to_right, std::vector<u8>& frame) {
        if (to_right && frame.size() > 42) {
            frame.back() ^= 1;
        }
        return fate::deliver;
    };
    EXPECT_EQ(send_to(*client, "broken", "10.0.0.2", 53).value(), 6u);
    link.pump();
    EXPECT_EQ(right.stack.counters.udp_errors.load(), 1u);
    EXPECT_EQ(server->poll_events() & poll_event::in, 0u);
}

TEST_F(udp_pair, answers_pings) {
    std::vector<u8> seen;
    link.decide = [&](bool to_right, std::vector<u8>& frame) {
        if (!to_right && frame.size() > 34 && frame[23] == ip_protocol::icmp) {
            seen = frame;
        }
        return fate::deliver;
    };
    auto packet = packet_buffer::make().take();
    const char payload[] = "are you there";
    std::memcpy(packet->push(sizeof(payload)), payload, sizeof(payload));
    auto* header = header_at<icmp_header>(packet->push(sizeof(icmp_header)));
    *header = {icmp_type::echo, 0, 0, {}};
    header->rest = 0x12340001;
    header->checksum = checksum_finish(checksum_add(0, *packet, 0, packet->size()));
    const ip_send how{.source = parse_address("10.0.0.1").take(),
                      .destination = parse_address("10.0.0.2").take(),
                      .protocol = ip_protocol::icmp};
    route way = left.stack.find_route(how.destination, how.source).take();
    ASSERT_TRUE(ip_output(left.stack, std::move(packet), how, way).ok());
    link.pump();
    ASSERT_EQ(seen.size(), 34 + sizeof(icmp_header) + sizeof(payload));
    EXPECT_EQ(seen[34], icmp_type::echo_reply);
    EXPECT_EQ(std::memcmp(&seen[38], "\x12\x34\x00\x01", 4), 0);
    EXPECT_STREQ(reinterpret_cast<char*>(&seen[42]), payload);
}

TEST_F(udp_pair, reuse_port_shares_among_flows) {
    std::vector<ref<udp_socket>> group;
    for (int i = 0; i < 4; ++i) {
        auto made = make_ref<udp_socket>(right.stack, address_family::inet).take();
        const i32 on = 1;
        ASSERT_TRUE(made->set_option(socket_level::socket, socket_option::reuse_port,
                                     std::as_bytes(std::span(&on, 1))).ok());
        ASSERT_TRUE(made->bind(to_sockaddr("10.0.0.2", 500)).ok());
        group.push_back(made);
    }
    auto alone = make_ref<udp_socket>(right.stack, address_family::inet).take();
    EXPECT_EQ(alone->bind(to_sockaddr("0.0.0.0", 500)).error(), err::addrinuse);
    for (int i = 0; i < 64; ++i) {
        EXPECT_EQ(send_to(*open(left), "x", "10.0.0.2", 500).value(), 1u);
    }
    link.pump();
    int all = 0;
    for (auto& each : group) {
        int own = 0;
        while (receive_bytes(*each) == "x") {
            ++own;
        }
        EXPECT_GT(own, 0);
        all += own;
        each->close();
    }
    EXPECT_EQ(all, 64);
}

namespace {

// A DHCP server of the test's, on raw frames.
std::vector<u8> dhcp_answer(const std::vector<u8>& request, u8 kind) {
    std::vector<u8> frame(14 + 20 + 8 + 240 + 64, 0);
    std::memcpy(frame.data(), "\xff\xff\xff\xff\xff\xff\x52\x54\0\0\0\x02\x08\0", 14);
    auto* ip = reinterpret_cast<ipv4_header*>(&frame[14]);
    ip->version_and_size = 0x45;
    ip->total_size = static_cast<u16>(frame.size() - 14);
    ip->ttl = 64;
    ip->protocol = ip_protocol::udp;
    ip->source = 0x0a000102;
    ip->destination = 0x0a00010f;  // unicast to the address that is offered, as real servers do
    ip->checksum = checksum_finish(checksum_add(0, std::as_bytes(std::span(frame).subspan(14, 20))));
    auto* udp = reinterpret_cast<udp_header*>(&frame[34]);
    udp->source = 67;
    udp->destination = 68;
    udp->length = static_cast<u16>(frame.size() - 34);
    u8* body = &frame[42];
    body[0] = 2;
    std::memcpy(body + 4, &request[42 + 4], 4);    // transaction
    std::memcpy(body + 16, "\x0a\0\1\x0f", 4);     // yours
    std::memcpy(body + 28, &request[42 + 28], 6);  // hardware address
    const u8 options[] = {0x63, 0x82, 0x53, 0x63, 53, 1, kind, 54, 4, 10, 0, 1, 2, 1, 4, 255, 255,
                          255, 0, 3, 4, 10, 0, 1, 2, 6, 4, 10, 0, 1, 3, 51, 4, 0, 0, 14, 16, 255};
    std::memcpy(body + 236, options, sizeof(options));
    std::memcpy(frame.data(), "\x52\x54\0\0\0\x01", 6);
    return frame;
}

u8 dhcp_kind(const std::vector<u8>& frame) {
    return frame.size() > 290 && frame[23] == ip_protocol::udp && frame[37] == 67 ? frame[42 + 242] : u8{0};
}

}  // namespace

TEST(dhcp, gets_renews_and_loses_an_address) {
    host::set_time(1000 * ns_per_s);
    machine self(1, prefix("169.254.7.7/16"));
    configuration wanted;
    ASSERT_TRUE(self.stack.configure(*self.eth, wanted).ok());
    bool answering = false;
    u32 requests = 0;
    u32 discovers = 0;
    auto run = [&](u64 duration) {
        const u64 end = now() + duration;
        while (now() < end) {
            while (!self.card.sent.empty()) {
                const std::vector<u8> frame = std::move(self.card.sent.front());
                self.card.sent.pop_front();
                const u8 kind = dhcp_kind(frame);
                discovers += kind == 1;
                requests += kind == 3;
                if (answering && kind != 0) {
                    self.card.receive(dhcp_answer(frame, kind == 1 ? 2 : 5));
                    self.card.receiver()->batch_end();
                }
            }
            host::set_time(std::max(now() + 1, std::min(end, self.stack.timers.run(now()))));
            self.stack.timers.run(now());
        }
    };
    const ip_address offered = parse_address("10.0.1.15").take();
    run(3 * ns_per_s);
    EXPECT_GE(discovers, 2u);  // nobody answers: asks again
    EXPECT_FALSE(self.stack.is_local(offered));
    answering = true;
    run(30 * ns_per_s);
    EXPECT_EQ(requests, 1u);
    ASSERT_TRUE(self.stack.is_local(offered));
    EXPECT_TRUE(self.stack.configured());
    ASSERT_EQ(self.stack.name_servers().size(), 1u);
    const route way = self.stack.find_route(parse_address("8.8.8.8").take(), any_v4).take();
    EXPECT_TRUE(way.next_hop == parse_address("10.0.1.2").take());
    EXPECT_TRUE(way.source == offered);
    self.eth->neighbours().learn(parse_address("10.0.1.2").take(), {{2, 0, 0, 0, 0, 9}}, true, true);
    run(1801 * ns_per_s);  // half of the lease of an hour
    EXPECT_EQ(requests, 2u);
    EXPECT_TRUE(self.stack.is_local(offered));
    answering = false;
    run(3700 * ns_per_s);
    EXPECT_FALSE(self.stack.is_local(offered));
}

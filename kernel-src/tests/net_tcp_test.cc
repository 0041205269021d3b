// TCP between two stacks joined by a wire in memory.
#include <gtest/gtest.h>

#include <cstring>

#include "net/show.hh"
#include "net/tcp_socket.hh"
#include "tests/net/link.hh"

using namespace kiln;
using namespace kiln::net;
using namespace kiln::net::test;

namespace {

// Writes down its name when it is called.
struct named_waiter : wait_entry {
    named_waiter(std::string& to, char with) : wait_entry(&note), called(to), name(with) {}
    static bool note(wait_entry& woken, u32) {
        auto& self = static_cast<named_waiter&>(woken);
        self.called += self.name;
        return true;
    }
    std::string& called;
    char name;
};

class tcp_pair : public ::testing::Test, still_clock {
protected:
    ~tcp_pair() override {
        for (ref<socket> each : {ref<socket>(listener), client, server}) {
            if (each) {
                each->close();
            }
        }
        listener = nullptr;
        client = server = nullptr;
        link.decide = nullptr;
        link.run(200 * ns_per_s);
    }

    void listen(u16 port = 80, i32 backlog = 16) {
        listener = make_ref<tcp_socket>(right.stack, address_family::inet).take();
        ASSERT_TRUE(listener->bind(to_sockaddr("10.0.0.2", port)).ok());
        ASSERT_TRUE(listener->listen(backlog).ok());
    }
    void connect(u16 port = 80) {
        listen(port);
        client = make_ref<tcp_socket>(left.stack, address_family::inet).take();
        auto started = client->connect(to_sockaddr("10.0.0.2", port), true);
        ASSERT_EQ(started.error(), err::inprogress);
        ASSERT_TRUE(link.run_until([&] { return (listener->poll_events() & poll_event::in) != 0; }));
        server = listener->accept(true).take();
        ASSERT_TRUE((client->poll_events() & poll_event::out) != 0);
    }
    // Sends `size` bytes one way and checks every one of them.
    void transfer(socket& from, socket& to, usize size, u64 limit = 600 * ns_per_s) {
        std::string text(size, '\0');
        u32 state = 12345;
        for (char& c : text) {
            state = state * 1664525 + 1013904223;
            c = static_cast<char>(state >> 24);
        }
        usize sent = 0;
        std::string got;
        const bool done = link.run_until(
            [&] {
                for (;;) {
                    auto put = send_bytes(from, std::string_view(text).substr(sent, 100000));
                    if (!put.ok() || put.value() == 0) {
                        break;
                    }
                    sent += put.value();
                }
                for (;;) {
                    std::string part = receive_bytes(to);
                    if (part.empty()) {
                        break;
                    }
                    got += part;
                }
                return got.size() == size;
            },
            limit);
        EXPECT_TRUE(done) << "sent " << sent << ", received " << got.size();
        EXPECT_EQ(got, text);
    }

    // A second connection, and somebody ("a" and "b") who waits for each of the two servers.
    struct second_pair {
        explicit second_pair(tcp_pair& of) : first(of) {
            client = make_ref<tcp_socket>(first.left.stack, address_family::inet).take();
            EXPECT_EQ(client->connect(to_sockaddr("10.0.0.2", 80), true).error(), err::inprogress);
            first.link.run(50 * ns_per_ms);
            server = first.listener->accept(true).take();
            first.server->poll_queue().add(a);
            server->poll_queue().add(b);
        }
        ~second_pair() {
            first.server->poll_queue().remove(a);
            server->poll_queue().remove(b);
            client->close();
            server->close();
        }
        tcp_pair& first;
        ref<socket> client, server;
        std::string called;
        named_waiter a{called, 'a'}, b{called, 'b'};
    };

    machine left{1, prefix("10.0.0.1/24")};
    machine right{2, prefix("10.0.0.2/24")};
    wire link{left, right};
    std::vector<ref<tcp_socket>> kept;
    ref<tcp_socket> listener;
    ref<socket> client;
    ref<socket> server;
};

}  // namespace

TEST_F(tcp_pair, connects_sends_and_closes) {
    connect();
    EXPECT_EQ(send_bytes(*client, "hello").value(), 5u);
    link.pump();
    EXPECT_EQ(receive_bytes(*server), "hello");
    EXPECT_EQ(send_bytes(*server, "world!").value(), 6u);
    link.pump();
    EXPECT_EQ(receive_bytes(*client), "world!");

    client->close();
    client = nullptr;
    link.pump();
    EXPECT_NE(server->poll_events() & poll_event::rdhup, 0u);
    std::string text;
    EXPECT_EQ(try_receive(*server, text, 10, message_flag::dont_wait).value(), 0u);
    server->close();
    server = nullptr;
    link.pump();
    EXPECT_EQ(left.stack.time_wait_count.load(), 1u);
    EXPECT_EQ(right.stack.time_wait_count.load(), 0u);
    link.run(61 * ns_per_s);
    EXPECT_EQ(left.stack.time_wait_count.load(), 0u);
}

TEST_F(tcp_pair, refuses_where_nobody_listens) {
    client = make_ref<tcp_socket>(left.stack, address_family::inet).take();
    EXPECT_EQ(client->connect(to_sockaddr("10.0.0.2", 81), true).error(), err::inprogress);
    link.pump();
    EXPECT_EQ(client->take_error(), err::connrefused);
}

TEST_F(tcp_pair, moves_a_megabyte_each_way) {
    connect();
    transfer(*client, *server, 1 << 20);
    transfer(*server, *client, 1 << 20);
}

TEST_F(tcp_pair, survives_loss_reordering_and_duplication) {
    connect();
    u32 state = 7;
    link.decide = [&](bool, std::vector<u8>&) {
        state = state * 1664525 + 1013904223;
        const u32 dice = (state >> 16) % 100;
        return dice < 5 ? fate::drop : dice < 10 ? fate::duplicate : dice < 20 ? fate::delay
                                                                            : fate::deliver;
    };
    transfer(*client, *server, 400000);
    transfer(*server, *client, 400000);
}

TEST_F(tcp_pair, loops_back) {
    listener = make_ref<tcp_socket>(left.stack, address_family::inet).take();
    ASSERT_TRUE(listener->bind(to_sockaddr("127.0.0.1", 6379)).ok());
    ASSERT_TRUE(listener->listen(5).ok());
    client = make_ref<tcp_socket>(left.stack, address_family::inet).take();
    EXPECT_EQ(client->connect(to_sockaddr("127.0.0.1", 6379), true).error(), err::inprogress);
    EXPECT_TRUE((client->poll_events() & poll_event::out) != 0);
    server = listener->accept(true).take();
    transfer(*client, *server, 1 << 20);
    transfer(*server, *client, 1 << 20);
}

// A card that cuts large sends and adds up checksums by itself is given both to do.
TEST(tcp_offload, large_sends_go_down_whole) {
    host::set_time(1000 * ns_per_s);
    constexpr u32 all = device_feature::transmit_checksum | device_feature::tso4 | device_feature::tso6;
    machine left{1, prefix("10.0.0.1/24"), all};
    machine right{2, prefix("10.0.0.2/24"), all};
    wire link{left, right};
    auto listener = make_ref<tcp_socket>(right.stack, address_family::inet).take();
    ASSERT_TRUE(listener->bind(to_sockaddr("10.0.0.2", 80)).ok());
    ASSERT_TRUE(listener->listen(1).ok());
    auto client = make_ref<tcp_socket>(left.stack, address_family::inet).take();
    EXPECT_EQ(client->connect(to_sockaddr("10.0.0.2", 80), true).error(), err::inprogress);
    ASSERT_TRUE(link.run_until([&] { return (listener->poll_events() & poll_event::in) != 0; }));
    ref<socket> server = listener->accept(true).take();
    std::string text(300000, '\0');
    for (usize i = 0; i < text.size(); ++i) {
        text[i] = static_cast<char>(i % 251);
    }
    usize sent = 0;
    std::string got;
    EXPECT_TRUE(link.run_until([&] {
        auto put = send_bytes(*client, std::string_view(text).substr(sent));
        sent += put.ok() ? put.value() : 0;
        got += receive_bytes(*server, 400000);
        return got.size() == text.size();
    }));
    EXPECT_EQ(got, text);
    EXPECT_GT(left.card.large_sends, 0u);
    EXPECT_LT(left.card.large_sends, 60u);
    // Few acknowledgments for many segments.
    EXPECT_LT(link.frames_left * 2, link.frames_right);
    for (ref<socket> each : {ref<socket>(listener), ref<socket>(client), server}) {
        each->close();
    }
    link.run(100 * ns_per_s);
}

// Bind conflicts are Linux's.
TEST_F(tcp_pair, bind_conflicts) {
    auto bound = [&](std::string_view address, u16 port, bool reuse_address, bool reuse_port,
                     bool listens, bool v6_only = false) {
        const bool v6 = address.find(':') != address.npos;
        auto made = make_ref<tcp_socket>(left.stack, v6 ? address_family::inet6 : address_family::inet).take();
        auto set = [&](i32 level, i32 name, i32 value) {
            EXPECT_TRUE(made->set_option(level, name, std::as_bytes(std::span(&value, 1))).ok());
        };
        set(socket_level::socket, socket_option::reuse_address, reuse_address);
        set(socket_level::socket, socket_option::reuse_port, reuse_port);
        if (v6_only) {
            set(socket_level::ipv6, ipv6_option::v6_only, 1);
        }
        err outcome{0};
        auto done = made->bind(to_sockaddr(address, port));
        outcome = done.ok() ? err{0} : done.error();
        if (done.ok() && listens) {
            done = made->listen(1);
            outcome = done.ok() ? err{0} : done.error();
        }
        kept.push_back(made);
        return outcome;
    };
    const err used = err::addrinuse;
    EXPECT_EQ(bound("0.0.0.0", 100, false, false, false), err{0});
    EXPECT_EQ(bound("10.0.0.1", 100, false, false, false), used);
    EXPECT_EQ(bound("10.0.0.1", 100, true, false, false), used);  // the first did not say so
    EXPECT_EQ(bound("::", 100, false, false, false), used);
    EXPECT_EQ(bound("::", 100, false, false, false, true), err{0});
    EXPECT_EQ(bound("10.0.0.1", 200, true, false, false), err{0});
    EXPECT_EQ(bound("10.0.0.1", 200, true, false, false), err{0});
    EXPECT_EQ(bound("10.0.0.1", 200, true, false, true), err{0});
    EXPECT_EQ(bound("10.0.0.1", 200, true, false, false), used);  // one listens now
    EXPECT_EQ(bound("127.0.0.1", 200, false, false, true), err{0});
    EXPECT_EQ(bound("10.0.0.1", 300, false, true, true), err{0});
    EXPECT_EQ(bound("10.0.0.1", 300, false, true, true), err{0});
    EXPECT_EQ(bound("10.0.0.1", 300, true, false, true), used);
    EXPECT_EQ(bound("10.9.9.9", 400, false, false, false), err::addrnotavail);
    for (auto& each : kept) {
        each->close();
    }
    EXPECT_EQ(bound("0.0.0.0", 100, false, false, true), err{0});
    kept.back()->close();
}

TEST_F(tcp_pair, speaks_ipv6) {
    link.run(5 * ns_per_s);  // link-local addresses come up
    auto add = [](machine& at, std::string_view text) {
        ASSERT_TRUE(add_interface_address(*at.eth, {.prefix = prefix(text)}).ok());
    };
    add(left, "2001:db8::1/64");
    add(right, "2001:db8::2/64");
    listener = make_ref<tcp_socket>(right.stack, address_family::inet6).take();
    ASSERT_TRUE(listener->bind(to_sockaddr("::", 80)).ok());
    ASSERT_TRUE(listener->listen(5).ok());
    client = make_ref<tcp_socket>(left.stack, address_family::inet6).take();
    ASSERT_EQ(client->connect(to_sockaddr("2001:db8::2", 80), true).error(), err::inprogress);
    ASSERT_TRUE(link.run_until([&] { return (listener->poll_events() & poll_event::in) != 0; }));
    server = listener->accept(true).take();
    transfer(*client, *server, 300000);
    // The same listener takes IPv4, seen as mapped.
    ref<tcp_socket> four = make_ref<tcp_socket>(left.stack, address_family::inet).take();
    ASSERT_EQ(four->connect(to_sockaddr("10.0.0.2", 80), true).error(), err::inprogress);
    ASSERT_TRUE(link.run_until([&] { return (listener->poll_events() & poll_event::in) != 0; }));
    ref<socket> mapped = listener->accept(true).take();
    socket_address name;
    ASSERT_TRUE(mapped->peer_address(name).ok());
    char text[48];
    sockaddr_in6 in6;
    std::memcpy(&in6, name.bytes, sizeof(in6));
    EXPECT_EQ(std::string_view(text, format_address(ip_address::v6_bytes(in6.address), text)),
              "10.0.0.1");
    EXPECT_EQ(name.size, 28u);
    four->close();
    mapped->close();
}

namespace {

// Somebody who waits for a socket, as epoll does.
struct observer : wait_entry {
    observer() : wait_entry(&on_wake) {}
    static bool on_wake(wait_entry& entry, u32 events) {
        static_cast<observer&>(entry).seen |= events;
        return true;
    }
    u32 seen = 0;
};

}  // namespace

TEST_F(tcp_pair, who_waits_for_a_socket_does_its_work) {
    connect();
    observer waiting;
    server->poll_queue().add(waiting);
    EXPECT_EQ(send_bytes(*client, "hello").value(), 5u);
    const usize before = link.frames_left;
    link.pump();
    // Called, but nothing has been looked at: no acknowledgment either.
    EXPECT_EQ(waiting.seen, poll_event::unseen);
    EXPECT_EQ(link.frames_left, before);
    // Asking for events looks, and then says what it was.
    EXPECT_NE(server->poll_events() & poll_event::in, 0u);
    EXPECT_NE(waiting.seen & poll_event::in, 0u);
    link.pump();
    EXPECT_EQ(link.frames_left, before + 1);
    EXPECT_EQ(receive_bytes(*server), "hello");
    server->poll_queue().remove(waiting);
}

TEST_F(tcp_pair, a_network_thread_steps_in_after_a_millisecond) {
    connect();
    observer waiting;
    server->poll_queue().add(waiting);
    EXPECT_EQ(send_bytes(*client, "hello").value(), 5u);
    link.pump();
    const usize before = link.frames_left;
    link.run(900 * ns_per_us);
    EXPECT_EQ(link.frames_left, before);
    link.run(200 * ns_per_us);
    EXPECT_EQ(link.frames_left, before + 1);
    EXPECT_NE(waiting.seen & poll_event::in, 0u);
    EXPECT_EQ(receive_bytes(*server), "hello");
    server->poll_queue().remove(waiting);
}

TEST_F(tcp_pair, users_are_called_in_the_order_of_their_packets) {
    connect();
    second_pair more(*this);
    EXPECT_EQ(send_bytes(*client, "one").value(), 3u);
    EXPECT_EQ(send_bytes(*more.client, "two").value(), 3u);
    link.pump();
    EXPECT_EQ(more.called, "ab");
    // Nobody comes: the network thread's own work keeps the order.
    link.run(2 * ns_per_ms);
    EXPECT_EQ(more.called, "abab");
    EXPECT_EQ(receive_bytes(*server) + receive_bytes(*more.server), "onetwo");
    EXPECT_EQ(send_bytes(*more.client, "two").value(), 3u);
    EXPECT_EQ(send_bytes(*client, "one").value(), 3u);
    link.run(2 * ns_per_ms);
    EXPECT_EQ(more.called, "ababbaba");
}

TEST_F(tcp_pair, an_acknowledgment_gives_no_place_in_that_order) {
    connect();
    second_pair more(*this);
    EXPECT_EQ(send_bytes(*server, "reply").value(), 5u);
    ASSERT_EQ(right.card.sent.size(), 1u);
    left.card.receive(right.card.sent.front());
    right.card.sent.clear();
    left.card.receiver()->batch_end();
    EXPECT_EQ(receive_bytes(*client), "reply");
    host::set_time(now() + 50 * ns_per_ms);
    left.stack.timers.run(now());
    // The acknowledgment comes first, in one batch with the data.
    ASSERT_EQ(left.card.sent.size(), 1u);
    EXPECT_EQ(send_bytes(*more.client, "two").value(), 3u);
    EXPECT_EQ(send_bytes(*client, "one").value(), 3u);
    link.pump();
    EXPECT_EQ(more.called, "ba");
}

TEST_F(tcp_pair, a_bare_acknowledgment_is_no_event) {
    connect();
    observer waiting;
    server->poll_queue().add(waiting);
    EXPECT_EQ(send_bytes(*server, "reply").value(), 5u);
    link.run(50 * ns_per_ms);
    EXPECT_EQ(receive_bytes(*client), "reply");
    link.run(50 * ns_per_ms);
    // Nor a call: it would give the socket its place among those that are ready.
    EXPECT_EQ(waiting.seen, 0u);
    server->poll_queue().remove(waiting);
}

namespace {

std::string proc_net(network_stack& stack, std::string_view name) {
    struct string_sink final : text_sink {
        void put(std::string_view text) override { all += text; }
        std::string all;
    } sink;
    find_proc_net_file(name)->show(stack, sink);
    return sink.all;
}

}  // namespace

TEST_F(tcp_pair, tables_are_shown_as_linux_shows_them) {
    connect();
    const std::string tcp = proc_net(right.stack, "tcp");
    EXPECT_NE(tcp.find(" 0200000a:0050 00000000:0000 0a "), tcp.npos) << tcp;
    EXPECT_NE(tcp.find(" 0200000a:0050 0100000a:"), tcp.npos) << tcp;
    EXPECT_EQ(proc_net(right.stack, "tcp6").find("0a "), std::string::npos);
    const std::string routes = proc_net(right.stack, "route");
    EXPECT_NE(routes.find("eth0\t0000000a\t00000000\t0001\t0\t0\t0\t00ffffff"), routes.npos) << routes;
    const std::string six = proc_net(right.stack, "if_inet6");
    EXPECT_NE(six.find("00000000000000000000000000000001 01 80 10 80       lo\n"), six.npos) << six;
    const std::string arp = proc_net(right.stack, "arp");
    EXPECT_NE(arp.find("10.0.0.1 0x1 0x2 52:54:00:00:00:01 * eth0\n"), arp.npos) << arp;
    EXPECT_NE(proc_net(right.stack, "dev").find("  eth0:"), std::string::npos);
    EXPECT_EQ(find_proc_net_file("nothing"), nullptr);
}

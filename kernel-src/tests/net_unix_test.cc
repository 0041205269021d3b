// AF_UNIX sockets: streams, datagrams, names, descriptors passed along.
#include <gtest/gtest.h>

#include <cstring>

#include "net/unix_socket.hh"
#include "tests/net/link.hh"

using namespace kiln;
using namespace kiln::net;
using namespace kiln::net::test;

namespace {

socket_address unix_name(std::string_view name) {
    socket_address made;
    store<u16>(made.bytes, address_family::local);
    std::memcpy(made.bytes + 2, name.data(), name.size());
    made.size = 2 + name.size();
    return made;
}

ref<socket> make(u16 type) {
    return make_ref<unix_socket>(type).take();
}

class plain_file final : public file {
public:
    plain_file() : file(open_flag::rdwr) {}
};

struct unix_test : ::testing::Test {
    unix_test() { host::use_real_time(); }
};

}  // namespace

TEST_F(unix_test, pair_streams_both_ways_and_ends) {
    ref<socket> a;
    ref<socket> b;
    ASSERT_TRUE(unix_socket::make_pair(socket_type::stream, a, b).ok());
    EXPECT_EQ(send_bytes(*a, "one").value(), 3u);
    EXPECT_EQ(send_bytes(*a, "two").value(), 3u);
    EXPECT_EQ(b->bytes_to_read().value(), 6u);
    EXPECT_EQ(receive_bytes(*b, 4, message_flag::dont_wait | message_flag::peek), "onet");
    EXPECT_EQ(receive_bytes(*b, 4), "onet");
    EXPECT_EQ(receive_bytes(*b, 100), "wo");
    std::string text;
    EXPECT_EQ(try_receive(*b, text, 1, message_flag::dont_wait).error(), err::again);
    EXPECT_EQ(b->poll_events() & poll_event::in, 0u);
    a->close();
    EXPECT_EQ(b->poll_events() & (poll_event::in | poll_event::hangup),
              poll_event::in | poll_event::hangup);
    EXPECT_EQ(try_receive(*b, text, 1, message_flag::dont_wait).value(), 0u);
    EXPECT_EQ(send_bytes(*b, "x").error(), err::pipe);
    b->close();
}

TEST_F(unix_test, unread_data_resets_the_peer) {
    ref<socket> a;
    ref<socket> b;
    ASSERT_TRUE(unix_socket::make_pair(socket_type::stream, a, b).ok());
    EXPECT_EQ(send_bytes(*a, "unread").value(), 6u);
    b->close();
    std::string text;
    EXPECT_EQ(try_receive(*a, text, 1, message_flag::dont_wait).error(), err::connreset);
    EXPECT_EQ(try_receive(*a, text, 1, message_flag::dont_wait).value(), 0u);
    a->close();
}

TEST_F(unix_test, stream_blocks_when_full_and_goes_on) {
    ref<socket> a;
    ref<socket> b;
    ASSERT_TRUE(unix_socket::make_pair(socket_type::stream, a, b).ok());
    const std::string block(10000, 'x');
    usize sent = 0;
    for (auto put = send_bytes(*a, block); put.ok(); put = send_bytes(*a, block)) {
        sent += put.value();
        ASSERT_LT(sent, 4u << 20);
    }
    EXPECT_EQ(a->poll_events() & poll_event::out, 0u);
    usize got = 0;
    for (std::string part = receive_bytes(*b); !part.empty(); part = receive_bytes(*b)) {
        got += part.size();
    }
    EXPECT_EQ(got, sent);
    EXPECT_NE(a->poll_events() & poll_event::out, 0u);
    a->close();
    b->close();
}

TEST_F(unix_test, connects_by_path_and_by_abstract_name) {
    for (const std::string& name : {std::string("/run/x.sock"), std::string("\0hidden", 7)}) {
        ref<socket> listener = make(socket_type::stream);
        ASSERT_TRUE(listener->bind(unix_name(name)).ok());
        EXPECT_EQ(make(socket_type::stream)->bind(unix_name(name)).error(), err::addrinuse);
        EXPECT_EQ(make(socket_type::stream)->connect(unix_name(name), true).error(),
                  err::connrefused);
        ASSERT_TRUE(listener->listen(1).ok());
        ref<socket> client = make(socket_type::stream);
        ASSERT_TRUE(client->connect(unix_name(name), true).ok());
        EXPECT_EQ(client->connect(unix_name(name), true).error(), err::isconn);
        ref<socket> server = listener->accept(true).take();
        EXPECT_EQ(listener->accept(true).error(), err::again);
        EXPECT_EQ(send_bytes(*client, "hi").value(), 2u);
        EXPECT_EQ(receive_bytes(*server), "hi");
        socket_address shown;
        ASSERT_TRUE(client->peer_address(shown).ok());
        EXPECT_EQ(shown.size, 2 + name.size() + (name[0] == '/' ? 1 : 0));
        socket_credentials peer{};
        EXPECT_EQ(client->get_option(socket_level::socket, socket_option::peer_credentials,
                                     std::as_writable_bytes(std::span(&peer, 1))).value(), 12u);
        EXPECT_EQ(peer.pid, 2);
        for (auto& each : {listener, client, server}) {
            each->close();
        }
    }
    EXPECT_EQ(make(socket_type::stream)->connect(unix_name("/none"), true).error(), err::noent);
}

TEST_F(unix_test, full_backlog_says_again) {
    ref<socket> listener = make(socket_type::stream);
    ASSERT_TRUE(listener->bind(unix_name("/run/full")).ok());
    ASSERT_TRUE(listener->listen(0).ok());
    ref<socket> first = make(socket_type::stream);
    ASSERT_TRUE(first->connect(unix_name("/run/full"), true).ok());
    ref<socket> second = make(socket_type::stream);
    EXPECT_EQ(second->connect(unix_name("/run/full"), true).error(), err::again);
    // Nobody accepted the first: its end is reset.
    listener->close();
    std::string text;
    EXPECT_EQ(try_receive(*first, text, 1, message_flag::dont_wait).error(), err::connreset);
    first->close();
    second->close();
}

TEST_F(unix_test, datagrams_keep_their_bounds) {
    ref<socket> a = make(socket_type::datagram);
    ref<socket> b = make(socket_type::datagram);
    ASSERT_TRUE(a->bind(unix_name("/run/a")).ok());
    EXPECT_EQ(send_bytes(*b, "x").error(), err::notconn);
    ASSERT_TRUE(b->connect(unix_name("/run/a"), true).ok());
    EXPECT_EQ(send_bytes(*b, "first").value(), 5u);
    EXPECT_EQ(send_bytes(*b, "").value(), 0u);
    EXPECT_EQ(send_bytes(*b, "third").value(), 5u);
    EXPECT_EQ(receive_bytes(*a, 2), "fi");
    std::string text;
    EXPECT_EQ(try_receive(*a, text, 10, message_flag::dont_wait).value(), 0u);
    EXPECT_EQ(try_receive(*a, text, 2, message_flag::dont_wait | message_flag::truncated).value(), 5u);
    EXPECT_EQ(try_receive(*a, text, 2, message_flag::dont_wait).error(), err::again);
    a->close();
    EXPECT_EQ(send_bytes(*b, "x").error(), err::connrefused);
    b->close();
}

TEST_F(unix_test, passes_files) {
    ref<socket> a;
    ref<socket> b;
    ASSERT_TRUE(unix_socket::make_pair(socket_type::stream, a, b).ok());
    ref<file> passed = make_ref<plain_file>().take();
    {
        io_vector data = io_vector::kernel(std::as_bytes(std::span("abc", 3)));
        socket_message message(data);
        ASSERT_TRUE(message.files.push_back(passed).ok());
        EXPECT_EQ(a->send(message, message_flag::dont_wait).value(), 3u);
    }
    EXPECT_EQ(send_bytes(*a, "def").value(), 3u);
    EXPECT_EQ(passed->reference_count(), 2u);
    {
        char buffer[10];
        io_vector data = io_vector::kernel(buffer, sizeof(buffer));
        socket_message message(data);
        EXPECT_EQ(b->receive(message, message_flag::dont_wait).value(), 3u);
        ASSERT_EQ(message.files.size(), 1u);
        EXPECT_TRUE(message.files[0] == passed);
    }
    EXPECT_EQ(passed->reference_count(), 1u);
    EXPECT_EQ(receive_bytes(*b), "def");
    a->close();
    b->close();
}

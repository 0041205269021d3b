// TCP against segments made by hand: the rules of RFC 9293, 5961, 2018, 6298, 5681, 7323, 4987.
#include <gtest/gtest.h>

#include <cstring>

#include "net/tcp_info.hh"
#include "net/tcp_socket.hh"
#include "tests/net/raw_peer.hh"

using namespace kiln;
using namespace kiln::net;
using namespace kiln::net::test;

namespace {

constexpr u8 ACK = tcp_header::ack, SYN = tcp_header::syn, FIN = tcp_header::fin, RST = tcp_header::rst;

tcp_options everything() {
    tcp_options options;
    options.has_mss = options.has_scale = options.sack_permitted = options.has_timestamp = true;
    options.mss = 1460;
    options.scale = 7;
    return options;
}

tcp_options mss(u16 value) {
    tcp_options options;
    options.has_mss = true;
    options.mss = value;
    return options;
}

tcp_options mss_and_sack(u16 value) {
    tcp_options options = mss(value);
    options.sack_permitted = true;
    return options;
}

struct tcp_edge : ::testing::Test, still_clock {
    tcp_edge() {
        peer.run(10 * ns_per_s);  // router solicitations are over
        peer.take();
        listener = make_ref<tcp_socket>(self.stack, address_family::inet).take();
        EXPECT_TRUE(listener->bind(to_sockaddr("10.0.0.2", 80)).ok());
        EXPECT_TRUE(listener->listen(4).ok());
    }
    ~tcp_edge() override {
        if (server) {
            server->close();
        }
        server = nullptr;
        listener->close();
        peer.run(4000 * ns_per_s);
    }
    void open(const tcp_options& options = mss(1000), u16 window = 65535) {
        peer.open(options, window);
        accept();
    }
    void accept() {
        auto accepted = listener->accept(true);
        ASSERT_TRUE(accepted.ok());
        server = accepted.take();
    }
    void set(i32 level, i32 name, i32 value) {
        ASSERT_TRUE(server->set_option(level, name, std::as_bytes(std::span(&value, 1))).ok());
    }
    tcp_info info() {
        tcp_info found{};
        EXPECT_TRUE(server->get_option(socket_level::tcp, tcp_option::info,
                                       std::as_writable_bytes(std::span(&found, 1))).ok());
        return found;
    }

    machine self{2, prefix("10.0.0.2/24")};
    raw_peer peer{self, 4000, 80};
    ref<tcp_socket> listener;
    ref<socket> server;
};

}  // namespace

TEST_F(tcp_edge, offers_only_what_the_peer_offers) {
    peer.send({.sequence = 1, .flags = SYN, .options = mss(1000)});
    raw_segment plain = peer.only();
    EXPECT_TRUE(plain.options.has_mss);
    EXPECT_EQ(plain.options.mss, 1460);
    EXPECT_FALSE(plain.options.has_scale || plain.options.sack_permitted || plain.options.has_timestamp);
    raw_peer other(self, 4001, 80);
    other.send({.sequence = 1, .flags = SYN, .options = everything()});
    raw_segment full = other.only();
    EXPECT_TRUE(full.options.has_scale && full.options.sack_permitted && full.options.has_timestamp);
    EXPECT_EQ(full.options.echo, 0u);
}

TEST_F(tcp_edge, repeats_the_syn_ack_with_back_off_and_gives_up) {
    peer.send({.sequence = 1, .flags = SYN});
    EXPECT_EQ(peer.take().size(), 1u);
    peer.run(900 * ns_per_ms);
    EXPECT_EQ(peer.take().size(), 0u);
    peer.run(200 * ns_per_ms);
    EXPECT_EQ(peer.take().size(), 1u);
    peer.run(3 * ns_per_s);
    EXPECT_EQ(peer.take().size(), 1u);
    peer.run(200 * ns_per_s);
    EXPECT_EQ(peer.take().size(), 3u);
    // Forgotten: its acknowledgment is answered with a reset.
    peer.send({.sequence = 2, .acknowledgment = 77, .flags = ACK});
    EXPECT_EQ(peer.only().flags, RST);
}

TEST_F(tcp_edge, only_the_exact_reset_resets) {
    open();
    raw_segment reset = peer.segment(RST);
    reset.sequence += 100;
    peer.send(reset);
    const raw_segment challenge = peer.only();
    EXPECT_EQ(challenge.flags, ACK);
    EXPECT_EQ(challenge.acknowledgment, peer.next);
    reset.sequence = peer.next - 1;  // outside the window: nothing
    peer.send(reset);
    EXPECT_EQ(peer.take().size(), 0u);
    peer.send(peer.segment(RST));
    EXPECT_EQ(peer.take().size(), 0u);
    std::string text;
    EXPECT_EQ(try_receive(*server, text, 10, message_flag::dont_wait).error(), err::connreset);
    EXPECT_EQ(try_receive(*server, text, 10, message_flag::dont_wait).value(), 0u);
    EXPECT_EQ(send_bytes(*server, "x").error(), err::pipe);
}

TEST_F(tcp_edge, a_syn_inside_the_window_is_challenged) {
    open();
    raw_segment syn = peer.segment(SYN);
    syn.sequence += 5;
    peer.send(syn);
    EXPECT_EQ(peer.only().flags, ACK);
    for (int i = 0; i < 50; ++i) {
        peer.send(syn);
    }
    EXPECT_LE(peer.take().size(), 10u);  // so many a second
    peer.say("still here");
    EXPECT_EQ(receive_bytes(*server), "still here");
}

TEST_F(tcp_edge, acknowledgments_of_what_was_never_sent_are_dropped) {
    open();
    raw_segment wrong = peer.segment(ACK);
    wrong.acknowledgment += 10;
    wrong.data = "ignored";
    peer.send(wrong);
    EXPECT_EQ(peer.only().acknowledgment, peer.next);
    EXPECT_EQ(receive_bytes(*server), "");
}

TEST_F(tcp_edge, keeps_what_comes_early_and_tells_by_sack) {
    open(mss_and_sack(1000));
    const u32 base = peer.next;
    auto at = [&](u32 offset, std::string_view data) {
        raw_segment made = peer.segment(ACK);
        made.sequence = base + offset;
        made.data = data;
        peer.send(made);
    };
    at(10, "KLMNO");
    raw_segment answer = peer.only();
    EXPECT_EQ(answer.acknowledgment, base);
    ASSERT_EQ(answer.options.sack_count, 1);
    EXPECT_EQ(answer.options.sacks[0].start, base + 10);
    EXPECT_EQ(answer.options.sacks[0].end, base + 15);
    at(20, "UVWXY");
    answer = peer.only();
    ASSERT_EQ(answer.options.sack_count, 2);
    EXPECT_EQ(answer.options.sacks[0].start, base + 20);  // the latest first
    EXPECT_EQ(answer.options.sacks[1].start, base + 10);
    at(12, "MNOPQRST");  // overlaps one, joins both
    answer = peer.only();
    ASSERT_EQ(answer.options.sack_count, 1);
    EXPECT_EQ(answer.options.sacks[0].start, base + 10);
    EXPECT_EQ(answer.options.sacks[0].end, base + 25);
    at(0, "ABCDEFGHIJKL");
    answer = peer.only();
    EXPECT_EQ(answer.acknowledgment, base + 25);
    EXPECT_EQ(answer.options.sack_count, 0);
    EXPECT_EQ(receive_bytes(*server), "ABCDEFGHIJKLMNOPQRSTUVWXY");
    at(5, "FGHIJ");  // all known
    EXPECT_EQ(peer.only().acknowledgment, base + 25);
    EXPECT_EQ(receive_bytes(*server), "");
}

TEST_F(tcp_edge, a_fin_ahead_of_its_turn_waits) {
    open();
    raw_segment last = peer.segment(ACK | FIN);
    last.sequence += 3;
    last.data = "def";
    peer.send(last);
    EXPECT_EQ(server->poll_events() & poll_event::rdhup, 0u);
    peer.say("abc");
    EXPECT_EQ(receive_bytes(*server), "abcdef");
    EXPECT_NE(server->poll_events() & poll_event::rdhup, 0u);
    auto seen = peer.take();
    EXPECT_EQ(seen.back().acknowledgment, last.sequence + 4);
}

TEST_F(tcp_edge, timestamps_protect_against_old_segments) {
    open(everything());
    peer.timestamp += 10;
    peer.say("new");
    peer.take();
    raw_segment old = peer.segment(ACK);
    old.options.has_timestamp = true;
    old.options.timestamp = peer.timestamp - 5;
    old.data = "old";
    peer.send(old);
    const raw_segment answer = peer.only();
    EXPECT_EQ(answer.acknowledgment, peer.next);
    EXPECT_EQ(answer.options.echo, peer.timestamp);
    EXPECT_EQ(receive_bytes(*server), "new");
}

TEST_F(tcp_edge, one_segment_waits_and_two_are_acknowledged_at_once) {
    open();
    set(socket_level::tcp, tcp_option::quick_ack, 0);
    const std::string full(1000, 'x');
    peer.say(full);
    EXPECT_EQ(peer.take().size(), 0u);
    peer.run(39 * ns_per_ms);
    EXPECT_EQ(peer.take().size(), 0u);
    peer.run(2 * ns_per_ms);
    EXPECT_EQ(peer.only().acknowledgment, peer.next);
    peer.say(full);
    EXPECT_EQ(peer.take().size(), 0u);
    peer.say(full);
    EXPECT_EQ(peer.only().acknowledgment, peer.next);
    // An answer takes the acknowledgment along.
    peer.say("question");
    EXPECT_EQ(send_bytes(*server, "answer").value(), 6u);
    const raw_segment answer = peer.only();
    EXPECT_EQ(answer.data, "answer");
    EXPECT_EQ(answer.acknowledgment, peer.next);
    peer.acknowledge(answer.sequence + 6);
}

TEST_F(tcp_edge, nagle_holds_the_small_second_and_nodelay_does_not) {
    open();
    EXPECT_EQ(send_bytes(*server, "a").value(), 1u);
    EXPECT_EQ(peer.only().data, "a");
    EXPECT_EQ(send_bytes(*server, "b").value(), 1u);
    EXPECT_EQ(send_bytes(*server, "c").value(), 1u);
    EXPECT_EQ(peer.take().size(), 0u);
    peer.acknowledge(peer.expected + 1);
    EXPECT_EQ(peer.only().data, "bc");
    set(socket_level::tcp, tcp_option::no_delay, 1);
    EXPECT_EQ(send_bytes(*server, "d").value(), 1u);
    EXPECT_EQ(peer.only().data, "d");
}

TEST_F(tcp_edge, cork_and_more_hold_for_200_ms_at_most) {
    open();
    set(socket_level::tcp, tcp_option::cork, 1);
    EXPECT_EQ(send_bytes(*server, "head").value(), 4u);
    EXPECT_EQ(peer.take().size(), 0u);
    set(socket_level::tcp, tcp_option::cork, 0);
    EXPECT_EQ(peer.only().data, "head");
    peer.acknowledge(peer.expected + 4);
    EXPECT_EQ(send_bytes(*server, "one", message_flag::more | message_flag::dont_wait).value(), 3u);
    EXPECT_EQ(peer.take().size(), 0u);
    EXPECT_EQ(send_bytes(*server, "two").value(), 3u);
    EXPECT_EQ(peer.only().data, "onetwo");
    peer.acknowledge(peer.expected + 6);
    EXPECT_EQ(send_bytes(*server, "late", message_flag::more | message_flag::dont_wait).value(), 4u);
    peer.run(201 * ns_per_ms);
    EXPECT_EQ(peer.only().data, "late");
}

TEST_F(tcp_edge, lost_data_is_sent_again_with_back_off_until_it_gives_up) {
    open();
    EXPECT_EQ(send_bytes(*server, "hello").value(), 5u);
    const raw_segment first = peer.only();
    u64 last = now();
    std::vector<u64> gaps;
    for (int i = 0; i < 5; ++i) {
        while (true) {
            peer.run(10 * ns_per_ms);
            auto seen = peer.take();
            if (!seen.empty()) {
                ASSERT_EQ(seen.size(), 1u);
                EXPECT_EQ(seen[0].sequence, first.sequence);
                EXPECT_EQ(seen[0].data, "hello");
                break;
            }
            ASSERT_LT(now() - last, 100 * ns_per_s);
        }
        gaps.push_back(now() - last);
        last = now();
    }
    for (usize i = 1; i < gaps.size(); ++i) {
        EXPECT_NEAR(static_cast<double>(gaps[i]), 2.0 * static_cast<double>(gaps[i - 1]), 3e7);
    }
    peer.run(2000 * ns_per_s);
    std::string text;
    EXPECT_EQ(try_receive(*server, text, 10, message_flag::dont_wait).error(), err::timedout);
}

TEST_F(tcp_edge, user_timeout_ends_it_sooner) {
    open();
    set(socket_level::tcp, tcp_option::user_timeout, 3000);
    EXPECT_EQ(send_bytes(*server, "hello").value(), 5u);
    peer.run(20 * ns_per_s);
    EXPECT_EQ(server->take_error(), err::timedout);
}

TEST_F(tcp_edge, three_sacked_segments_bring_a_fast_retransmit) {
    open(mss_and_sack(1000));
    const std::string data(8000, 'd');
    EXPECT_EQ(send_bytes(*server, data).value(), data.size());
    auto sent = peer.take();
    ASSERT_EQ(sent.size(), 8u);
    const u32 lost = sent[0].sequence;
    for (usize i = 1; i <= 3; ++i) {
        raw_segment duplicate = peer.segment(ACK);
        duplicate.options.sack_count = 1;
        duplicate.options.sacks[0] = {sent[1].sequence, sent[i].sequence + 1000};
        peer.send(duplicate);
        auto seen = peer.take();
        if (i < 3) {
            EXPECT_EQ(seen.size(), 0u) << i;
        } else {
            ASSERT_GE(seen.size(), 1u);
            EXPECT_EQ(seen[0].sequence, lost);
            EXPECT_EQ(seen[0].data.size(), 1000u);
        }
    }
    EXPECT_EQ(info().ca_state, 3);
    peer.acknowledge(sent[7].sequence + 1000);
    EXPECT_EQ(info().ca_state, 0);
    EXPECT_EQ(info().total_retrans, 1u);
}

TEST_F(tcp_edge, without_sack_three_duplicates_do_and_partial_acks_go_on) {
    open(mss(1000));
    const std::string data(8000, 'd');
    EXPECT_EQ(send_bytes(*server, data).value(), data.size());
    auto sent = peer.take();
    ASSERT_EQ(sent.size(), 8u);
    for (int i = 0; i < 2; ++i) {
        peer.send(peer.segment(ACK));
        EXPECT_EQ(peer.take().size(), 0u);
    }
    peer.send(peer.segment(ACK));
    auto again = peer.take();
    ASSERT_GE(again.size(), 1u);
    EXPECT_EQ(again[0].sequence, sent[0].sequence);
    // The third was lost too.
    peer.acknowledge(sent[2].sequence);
    again = peer.take();
    ASSERT_GE(again.size(), 1u);
    EXPECT_EQ(again[0].sequence, sent[2].sequence);
    peer.acknowledge(sent[7].sequence + 1000);
    EXPECT_EQ(info().ca_state, 0);
}

TEST_F(tcp_edge, a_closed_window_is_probed_and_an_opened_one_used) {
    open(mss(1000), 0);
    EXPECT_EQ(send_bytes(*server, "waiting").value(), 7u);
    EXPECT_EQ(peer.take().size(), 0u);
    usize probes = 0;
    for (int i = 0; i < 100; ++i) {
        peer.run(100 * ns_per_ms);
        for (const raw_segment& probe : peer.take()) {
            EXPECT_EQ(probe.sequence, peer.expected - 1);
            EXPECT_EQ(probe.data, "");
            ++probes;
            peer.send(peer.segment(ACK));
        }
    }
    EXPECT_GE(probes, 3u);
    EXPECT_LE(probes, 6u);
    peer.window = 3;
    peer.send(peer.segment(ACK));
    peer.run(20 * ns_per_s);
    auto small = peer.take();
    ASSERT_GE(small.size(), 1u);
    EXPECT_EQ(small[0].data, "wai");
    peer.window = 1000;
    peer.acknowledge(peer.expected + 3);
    EXPECT_EQ(peer.only().data, "ting");
    peer.acknowledge(peer.expected + 4);
}

TEST_F(tcp_edge, never_offers_more_than_it_takes) {
    open(mss(1000));
    set(socket_level::socket, socket_option::receive_buffer, 8192);
    const std::string full(1000, 'w');
    u16 offered = 65535;
    for (int i = 0; i < 200 && offered != 0; ++i) {
        peer.say(full);
        peer.run(50 * ns_per_ms);
        for (const raw_segment& seen : peer.take()) {
            offered = seen.window;
        }
    }
    EXPECT_EQ(offered, 0);
    EXPECT_GE(server->bytes_to_read().value(), 65000u - 1000);  // what had been promised was kept
    // Reading opens it again, and says so.
    receive_bytes(*server, 60000);
    receive_bytes(*server, 10000);
    auto update = peer.take();
    ASSERT_GE(update.size(), 1u);
    EXPECT_GE(update.back().window, 4096);
}

TEST_F(tcp_edge, a_listener_with_little_room_says_so_from_the_start) {
    const i32 little = 4096;
    ASSERT_TRUE(listener->set_option(socket_level::socket, socket_option::receive_buffer,
                                     std::as_bytes(std::span(&little, 1))).ok());
    raw_segment syn = peer.segment(SYN);
    syn.options = mss(1000);
    peer.send(syn);
    EXPECT_EQ(peer.only().window, little);
}

TEST_F(tcp_edge, a_fin_just_beyond_a_full_window_leaves_it_closed) {
    const i32 little = 4096;
    ASSERT_TRUE(listener->set_option(socket_level::socket, socket_option::receive_buffer,
                                     std::as_bytes(std::span(&little, 1))).ok());
    open();
    for (int i = 0; i < 4; ++i) {
        peer.say(std::string(1000, 'f'));
    }
    peer.say(std::string(96, 'f'), ACK | FIN);
    const auto seen = peer.take();
    EXPECT_EQ(seen.back().acknowledgment, peer.next);
    EXPECT_EQ(seen.back().window, 0);
    // What comes next is in order, and nothing to complain about.
    peer.acknowledge(peer.expected);
    EXPECT_TRUE(peer.take().empty());
    EXPECT_EQ(receive_bytes(*server, 5000).size(), 4096u);
}

TEST_F(tcp_edge, closing_with_unread_data_resets) {
    open();
    peer.say("never read");
    peer.take();
    server->close();
    server = nullptr;
    EXPECT_TRUE(peer.only().has(RST));
}

TEST_F(tcp_edge, linger_zero_resets) {
    open();
    const i32 linger[2] = {1, 0};
    ASSERT_TRUE(server->set_option(socket_level::socket, socket_option::linger,
                                   std::as_bytes(std::span(linger))).ok());
    server->close();
    server = nullptr;
    EXPECT_TRUE(peer.only().has(RST));
}

TEST_F(tcp_edge, both_close_at_once) {
    open();
    ASSERT_TRUE(server->shutdown(shutdown_how::write).ok());
    const raw_segment fin = peer.only();
    EXPECT_TRUE(fin.has(FIN));
    peer.say("", ACK | FIN);  // not acknowledging theirs
    EXPECT_EQ(info().state, static_cast<u8>(tcp_state::closing));
    EXPECT_EQ(peer.only().acknowledgment, peer.next);
    peer.acknowledge(fin.sequence + 1);
    EXPECT_EQ(self.stack.time_wait_count.load(), 1u);
    // A FIN sent again in TIME-WAIT is acknowledged again.
    raw_segment again = peer.segment(ACK | FIN);
    again.sequence -= 1;
    peer.send(again);
    EXPECT_EQ(peer.only().acknowledgment, peer.next);
    peer.run(61 * ns_per_s);
    EXPECT_EQ(self.stack.time_wait_count.load(), 0u);
}

TEST_F(tcp_edge, half_closed_it_still_receives) {
    open();
    ASSERT_TRUE(server->shutdown(shutdown_how::write).ok());
    peer.acknowledge(peer.only().sequence + 1);
    peer.say("more");
    EXPECT_EQ(receive_bytes(*server), "more");
    EXPECT_EQ(send_bytes(*server, "x").error(), err::pipe);
    EXPECT_EQ(info().state, static_cast<u8>(tcp_state::fin_wait2));
}

TEST_F(tcp_edge, an_orphan_does_not_wait_for_ever) {
    open();
    server->close();
    server = nullptr;
    peer.acknowledge(peer.only().sequence + 1);
    peer.run(59 * ns_per_s);
    EXPECT_EQ(self.stack.orphan_count.load(), 1u);
    peer.run(2 * ns_per_s);
    EXPECT_EQ(self.stack.orphan_count.load(), 0u);
    peer.say("anybody?");
    EXPECT_TRUE(peer.only().has(RST));
}

TEST_F(tcp_edge, data_for_an_orphan_resets) {
    open();
    server->close();
    server = nullptr;
    peer.take();
    peer.say("too late");
    EXPECT_TRUE(peer.only().has(RST));
}

TEST_F(tcp_edge, time_wait_gives_way_to_a_later_syn) {
    open();
    ASSERT_TRUE(server->shutdown(shutdown_how::write).ok());
    peer.acknowledge(peer.only().sequence + 1);
    peer.say("", ACK | FIN);
    peer.take();
    EXPECT_EQ(self.stack.time_wait_count.load(), 1u);
    raw_segment stale{.sequence = peer.next - 100, .flags = SYN};
    peer.send(stale);
    EXPECT_EQ(peer.only().flags, ACK);
    raw_segment fresh{.sequence = peer.next + 70000, .flags = SYN};
    peer.send(fresh);
    EXPECT_EQ(peer.only().flags, SYN | ACK);
    EXPECT_EQ(self.stack.time_wait_count.load(), 0u);
}

TEST_F(tcp_edge, a_flood_of_syns_is_answered_by_cookies_that_work) {
    for (u16 i = 0; i < 200; ++i) {
        raw_peer flooder(self, static_cast<u16>(10000 + i), 80);
        flooder.send({.sequence = 1, .flags = SYN, .options = everything()});
    }
    peer.take();
    EXPECT_GT(self.stack.counters.syn_cookies_sent.load(), 150u);
    peer.open(mss(1200));
    accept();
    peer.say("honest");
    EXPECT_EQ(receive_bytes(*server), "honest");
    const std::string data(3000, 'm');
    peer.take();
    EXPECT_EQ(send_bytes(*server, data).value(), data.size());
    EXPECT_LE(peer.take()[0].data.size(), 1200u);  // the MSS was in the cookie, rounded down
    raw_peer liar(self, 5555, 80);
    liar.send({.sequence = 9, .acknowledgment = 12345, .flags = ACK});
    EXPECT_TRUE(liar.only().has(RST));
}

TEST_F(tcp_edge, full_accept_queue_ignores_until_there_is_room) {
    std::vector<std::unique_ptr<raw_peer>> all;
    for (u16 i = 0; i < 5; ++i) {
        all.push_back(std::make_unique<raw_peer>(self, static_cast<u16>(7000 + i), 80));
        all.back()->open();
    }
    raw_peer late(self, 7100, 80);
    late.send({.sequence = 1, .flags = SYN});
    EXPECT_EQ(late.take().size(), 0u);
    EXPECT_EQ(self.stack.counters.listen_overflows.load(), 1u);
    accept();
    late.send({.sequence = 1, .flags = SYN});
    EXPECT_EQ(late.only().flags, SYN | ACK);
}

TEST_F(tcp_edge, keep_alive_probes_and_gives_up) {
    open();
    set(socket_level::tcp, tcp_option::keep_idle, 10);
    set(socket_level::tcp, tcp_option::keep_interval, 2);
    set(socket_level::tcp, tcp_option::keep_count, 3);
    set(socket_level::socket, socket_option::keep_alive, 1);
    peer.run(11 * ns_per_s);
    EXPECT_EQ(peer.only().sequence, peer.expected - 1);
    peer.send(peer.segment(ACK));
    peer.run(9 * ns_per_s);
    EXPECT_EQ(peer.take().size(), 0u);
    peer.run(8 * ns_per_s);
    auto seen = peer.take();
    ASSERT_EQ(seen.size(), 4u);  // three probes and a reset
    EXPECT_TRUE(seen[3].has(RST));
    EXPECT_EQ(server->take_error(), err::timedout);
}

TEST_F(tcp_edge, defer_accept_waits_for_data) {
    const i32 seconds = 5;
    ASSERT_TRUE(listener->set_option(socket_level::tcp, tcp_option::defer_accept,
                                     std::as_bytes(std::span(&seconds, 1))).ok());
    peer.open();
    EXPECT_EQ(listener->poll_events() & poll_event::in, 0u);
    peer.say("now");
    EXPECT_NE(listener->poll_events() & poll_event::in, 0u);
    accept();
    EXPECT_EQ(receive_bytes(*server), "now");
}

TEST_F(tcp_edge, peeks_waits_for_all_and_truncates) {
    open();
    peer.say("abcdef");
    EXPECT_EQ(receive_bytes(*server, 4, message_flag::dont_wait | message_flag::peek), "abcd");
    EXPECT_EQ(server->bytes_to_read().value(), 6u);
    std::string text;
    EXPECT_EQ(try_receive(*server, text, 2, message_flag::dont_wait | message_flag::truncated).value(), 2u);
    EXPECT_EQ(receive_bytes(*server, 100, message_flag::dont_wait | message_flag::wait_all), "cdef");
    EXPECT_EQ(try_receive(*server, text, 2, message_flag::error_queue).error(), err::again);
}

TEST_F(tcp_edge, slow_start_doubles_and_a_timeout_starts_over) {
    open(mss(1000));
    set(socket_level::tcp, tcp_option::no_delay, 1);
    const std::string data(100000, 's');
    EXPECT_EQ(send_bytes(*server, data).value(), data.size());
    auto sent = peer.take();
    EXPECT_EQ(sent.size(), 10u);
    peer.acknowledge(sent.back().sequence + 1000);
    sent = peer.take();
    EXPECT_EQ(sent.size(), 20u);
    peer.run(ns_per_s);  // the timer runs out
    auto again = peer.take();
    ASSERT_GE(again.size(), 1u);
    EXPECT_EQ(again[0].sequence, sent[0].sequence);
    EXPECT_EQ(info().snd_cwnd, 1u);
    EXPECT_EQ(info().ca_state, 4);
}

// Frames of the driver of the Elastic Network Adapter, both ways, and how they are spread over
// queues.
#include <random>

#include "net/checksum.hh"
#include "net/wire.hh"
#include "tests/ena/rig.hh"

namespace kiln::ena::model {
namespace {

namespace s = received_status;
namespace w = transmit_word;
constexpr u32 good_tcp = s::ipv4 | s::tcp | s::transport_checked;

class ena_frames : public rig {
protected:
    ena_frames() { host::set_time(1000 * ns_per_s); }
};

// ---- what arrives, and where ----

TEST_F(ena_frames, every_queue_gets_its_share_of_what_arrives) {
    ASSERT_TRUE(open().ok());
    constexpr u32 flows = 2000;
    std::vector<u32> share(driver.pairs());
    for (u32 port = 1; port <= flows; ++port) {
        ++share[static_cast<usize>(device.pair_of(tcp_frame(port)))];
        ASSERT_TRUE(device.arrive(tcp_frame(port)));
        if (port % 50 == 0) {
            turn();
        }
    }
    EXPECT_EQ(received.frames.size(), flows);
    EXPECT_EQ(device.lost.no_table, 0u);
    for (const u32 each : share) {
        EXPECT_GT(each, flows / driver.pairs() / 2);
    }
}

TEST_F(ena_frames, the_table_names_the_queues_that_receive_by_the_devices_numbers) {
    ASSERT_TRUE(open().ok());
    const std::vector<u16> table = device.table();
    ASSERT_EQ(table.size(), 128u);
    for (usize i = 0; i < table.size(); ++i) {
        EXPECT_EQ(table[i], driver.rings(static_cast<u32>(i % 4)).receive_index());
    }
}

TEST_F(ena_frames, without_a_table_all_that_arrives_is_lost) {
    ASSERT_TRUE(open().ok());
    device.forget_table();
    for (u32 port = 1; port <= 100; ++port) {
        EXPECT_FALSE(device.arrive(tcp_frame(port)));
    }
    turn();
    EXPECT_EQ(device.lost.no_table, 100u);
    EXPECT_TRUE(received.frames.empty());
}

TEST_F(ena_frames, a_table_of_another_size_is_filled_too) {
    device.is.smallest_table = device.is.largest_table = 8;
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(device.table().size(), 256u);
}

TEST_F(ena_frames, a_device_that_keeps_another_table_is_used_with_one_queue) {
    device.does.other_table = true;
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 1u);
    EXPECT_EQ(device.resets, 2u);
    EXPECT_TRUE(device.arrive(tcp_frame(7)));
    turn();
    EXPECT_EQ(received.frames, std::vector<std::string>{tcp_frame(7)});
}

TEST_F(ena_frames, a_device_that_refuses_the_table_is_used_with_one_queue) {
    device.does.refuses[static_cast<u32>(feature::spread_table)] = answer_status::error;
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 1u);
}

TEST_F(ena_frames, a_device_that_does_not_tell_its_table_is_believed) {
    device.does.mute_table = true;
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 4u);
    EXPECT_EQ(device.table().size(), 128u);
}

TEST_F(ena_frames, both_directions_of_a_flow_are_hashed_by_addresses_and_ports) {
    ASSERT_TRUE(open().ok());
    const auto fields = [&](hash_kind kind) {
        return device.hash_input.selected[static_cast<u32>(kind)].fields;
    };
    EXPECT_EQ(fields(hash_kind::tcp4), hash_field::addresses | hash_field::ports);
    EXPECT_EQ(fields(hash_kind::udp6), hash_field::addresses | hash_field::ports);
    EXPECT_EQ(fields(hash_kind::ipv4_fragment), hash_field::addresses);
    std::string back = tcp_frame(4242);
    std::swap_ranges(back.begin() + 26, back.begin() + 30, back.begin() + 30);
    std::swap_ranges(back.begin() + 34, back.begin() + 36, back.begin() + 36);
    EXPECT_EQ(device.pair_of(back), device.pair_of(tcp_frame(4242)));
}

TEST_F(ena_frames, frames_arrive_whole_for_ever) {
    ASSERT_TRUE(open().ok());
    std::mt19937 random(5);
    for (u32 round = 0; round < 300; ++round) {
        std::vector<std::string> given;
        for (u32 i = random() % 60; i != 0; --i) {
            given.push_back(tcp_frame(77, 60 + random() % 5000));  // one flow: in order
            ASSERT_TRUE(device.arrive(given.back()));
        }
        received.frames.clear();
        turn();
        ASSERT_EQ(received.frames, given);
    }
    EXPECT_EQ(driver.counters().received_dropped, 0u);
}

TEST_F(ena_frames, a_device_faster_than_the_driver_finds_no_buffers) {
    ASSERT_TRUE(open().ok());
    for (u32 i = 0; i < 300; ++i) {
        device.arrive(tcp_frame(5));
    }
    EXPECT_EQ(device.lost.no_buffer, 300u - 255u);
    turn();
    EXPECT_EQ(received.frames.size(), 255u);
    EXPECT_TRUE(device.arrive(tcp_frame(5)));
}

TEST_F(ena_frames, the_card_vouches_for_sums_that_it_has_checked) {
    ASSERT_TRUE(open().ok());
    const struct {
        u32 flags;
        bool valid;
    } cases[] = {
        {good_tcp, true},
        {s::ipv4 | s::udp | s::transport_checked, true},
        {11u | s::tcp | s::transport_checked, true},
        {11u | s::tcp | s::transport_checked | s::bad_ip_sum, true},  // IPv6 has none
        {good_tcp | s::bad_transport_sum, false},
        {good_tcp | s::bad_ip_sum, false},
        {good_tcp | s::fragment, false},
        {s::ipv4 | s::tcp, false},
        {s::ipv4 | s::transport_checked, false},
        {0, false},
    };
    for (const auto& each : cases) {
        ASSERT_TRUE(device.arrive(tcp_frame(1), each.flags));
        turn();
        EXPECT_EQ(received.valid.back(), each.valid) << std::hex << each.flags;
    }
}

TEST_F(ena_frames, a_frame_may_begin_inside_its_buffer) {
    ASSERT_TRUE(open().ok());
    device.complete_received(0, s::first | s::last, 60, 0, 20);
    turn(0);
    ASSERT_EQ(received.frames.size(), 1u);
    EXPECT_EQ(received.frames[0].size(), 60u);
}

TEST_F(ena_frames, short_frames_are_dropped) {
    ASSERT_TRUE(open().ok());
    ASSERT_TRUE(device.arrive(std::string(13, 's')));
    turn();
    EXPECT_TRUE(received.frames.empty());
    EXPECT_EQ(driver.counters().received_dropped, 1u);
}

TEST_F(ena_frames, an_interrupt_comes_only_when_it_is_allowed) {
    ASSERT_TRUE(open().ok());
    const auto number = static_cast<u32>(device.pair_of(tcp_frame(9)));
    const u32 before = device.interrupts(number + 1);
    for (u32 i = 0; i < 10; ++i) {
        ASSERT_TRUE(device.arrive(tcp_frame(9)));
    }
    EXPECT_EQ(device.interrupts(number + 1), before + 1);
    turn(number);
    EXPECT_EQ(device.interrupts(number + 1), before + 2) << "nine came while there was none";
    turn(number);
    ASSERT_TRUE(device.arrive(tcp_frame(9)));
    EXPECT_EQ(device.interrupts(number + 1), before + 3);
}

// ---- what is sent ----

// Descriptors in our memory, and in the device's.
class ena_sending : public rig, public ::testing::WithParamInterface<bool> {
protected:
    ena_sending() {
        host::set_time(1000 * ns_per_s);
        if (!GetParam()) {
            device.is.features &= ~bit_of(feature::push);
        }
    }
};
INSTANTIATE_TEST_SUITE_P(, ena_sending, ::testing::Bool(), [](const auto& each) {
    return std::string(each.param ? "in_the_device" : "in_memory");
});

TEST_P(ena_sending, frames_go_whole_for_ever) {
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(device.in_device(), GetParam());
    std::mt19937 random(11);
    for (u32 round = 0; round < 400; ++round) {
        std::vector<std::string> given;
        for (u32 i = 0; i < 20; ++i) {
            const usize pieces = 1 + random() % 8;
            given.push_back(tcp_frame(random() % 60000, 60 + random() % (pieces * 3000)));
            send(round % 4, packet_of(given.back(), pieces), i != 19);
        }
        turn();
        ASSERT_EQ(device.sent.size(), given.size());
        for (usize i = 0; i < given.size(); ++i) {
            ASSERT_EQ(device.sent[i].bytes, given[i]);
            EXPECT_EQ(device.sent[i].queue, round % 4);
            EXPECT_FALSE(device.sent[i].has_metadata);
        }
        device.sent.clear();
    }
    EXPECT_EQ(sent_dropped(), 0u);
    EXPECT_EQ(driver.rings(0).transmits().in_flight(), 0u);
}

TEST_P(ena_sending, sums_are_asked_for_with_the_place_of_the_headers) {
    ASSERT_TRUE(open().ok());
    auto frame = packet_of(tcp_frame(1));
    frame->offload = {true, 34, 16};
    send(0, std::move(frame));
    auto datagram = packet_of(tcp_frame(2));
    datagram->offload = {true, 34, 6};
    send(0, std::move(datagram));
    ASSERT_EQ(device.sent.size(), 2u);
    const sent_frame& tcp = device.sent[0];
    EXPECT_EQ(tcp.bytes, tcp_frame(1));
    EXPECT_EQ(tcp.asked,
              w::ipv4 | w::dont_fragment | w::tcp | w::transport_sum | w::has_pseudo_sum);
    ASSERT_TRUE(tcp.has_metadata);
    EXPECT_EQ(tcp.metadata[1], 20u | 14u << metadata_word::ip_start_shift);
    EXPECT_EQ(device.sent[1].asked & 0x1f00, w::udp);
}

TEST_P(ena_sending, segments_are_asked_for_with_their_size) {
    ASSERT_TRUE(open().ok());
    const std::string bytes = tcp_frame(3, 30'000);
    auto stream = packet_of(bytes, 5);
    using segmentation = net::transmit_offload::segmentation;
    stream->offload = {true, 34, 16, segmentation::tcp4, 1448, 66};
    send(0, std::move(stream));
    ASSERT_EQ(device.sent.size(), 1u);
    const sent_frame& got = device.sent[0];
    EXPECT_EQ(got.bytes, bytes) << "the device sees to lengths and sums";
    EXPECT_EQ(got.asked, w::ipv4 | w::dont_fragment | w::tcp | w::transport_sum | w::segment |
                             w::ip_sum);
    ASSERT_TRUE(got.has_metadata);
    EXPECT_EQ((got.metadata[0] >> metadata_word::segment_high_shift) & 15, 1448u >> 10);
    EXPECT_EQ(got.metadata[1], 20u | 14u << metadata_word::ip_start_shift |
                                   8u << metadata_word::tcp_words_shift |
                                   (1448u & 1023u) << metadata_word::segment_low_shift);
}

TEST_P(ena_sending, sums_over_ipv6_that_the_card_does_not_make_are_made) {
    device.is.offloads.transmit &= ~offload_feature::sum_ipv6;
    ASSERT_TRUE(open().ok());
    std::string bytes = tcp_frame(1, 120);
    bytes[12] = static_cast<char>(0x86);
    bytes[13] = static_cast<char>(0xdd);
    bytes[70] = bytes[71] = 0;
    auto frame = packet_of(bytes);
    frame->offload = {true, 54, 16};
    send(0, std::move(frame));
    ASSERT_EQ(device.sent.size(), 1u);
    EXPECT_EQ(device.sent[0].asked, 0u);
    auto sent = packet_of(device.sent[0].bytes);
    EXPECT_EQ(net::checksum_fold(net::checksum_add(0, *sent, 54, sent->size() - 54)), 0xffffu);
}

TEST_P(ena_sending, frames_in_too_many_pieces_are_put_together) {
    device.is.sent_pieces = 4;
    ASSERT_TRUE(open().ok());
    const std::string bytes = tcp_frame(8, 1200);
    send(0, packet_of(bytes, 12));
    ASSERT_EQ(device.sent.size(), 1u);
    EXPECT_EQ(device.sent[0].bytes, bytes);
    send(0, packet_of(tcp_frame(9, 60'000), 12));
    EXPECT_EQ(device.sent.size(), 1u) << "no way to send this one";
    EXPECT_EQ(sent_dropped(), 1u);
}

TEST_P(ena_sending, a_full_ring_keeps_frames_until_the_card_has_sent) {
    ASSERT_TRUE(open().ok());
    device.does.holds_sent = true;
    for (u32 i = 0; i < 400; ++i) {
        send(0, packet_of(tcp_frame(i)));
    }
    EXPECT_EQ(device.sent.size(), 255u);
    device.does.holds_sent = false;
    device.send_held();
    turn(0);
    ASSERT_EQ(device.sent.size(), 400u);
    EXPECT_EQ(device.sent[399].bytes, tcp_frame(399));
}

TEST_F(ena_frames, the_head_of_a_frame_goes_into_the_first_line) {
    ASSERT_TRUE(open().ok());
    send(0, packet_of(tcp_frame(1, 96)));
    send(0, packet_of(tcp_frame(1, 97)));
    send(0, packet_of(tcp_frame(1, 60)));
    ASSERT_EQ(device.sent.size(), 3u);
    EXPECT_EQ(device.sent[0].pushed, 96u);
    EXPECT_EQ(device.sent[1].pushed, 96u);
    EXPECT_EQ(device.sent[2].pushed, 60u);
}

TEST_F(ena_frames, a_device_may_want_one_descriptor_before_the_header) {
    device.is.push.before_header = 1;
    ASSERT_TRUE(open().ok());
    auto frame = packet_of(tcp_frame(1, 5000), 6);
    frame->offload = {true, 34, 16};
    send(0, std::move(frame));
    ASSERT_EQ(device.sent.size(), 1u);
    EXPECT_EQ(device.sent[0].bytes, tcp_frame(1, 5000));
    EXPECT_EQ(device.sent[0].pushed, 112u);
}

TEST_F(ena_frames, no_more_lines_go_between_two_doorbells_than_the_device_takes) {
    device.is.push.modes = push_feature::limited_bursts;
    device.is.push.burst_bytes = 3 * 128;
    ASSERT_TRUE(open().ok());
    for (u32 i = 0; i < 100; ++i) {
        send(0, packet_of(tcp_frame(i, 4000), 1 + i % 9), i != 99);
    }
    EXPECT_EQ(device.sent.size(), 100u);
    EXPECT_LE(device.longest_burst, 3u);
}

TEST_F(ena_frames, a_device_that_stores_no_metadata_gets_it_with_each_frame) {
    device.is.push.modes = push_feature::no_stored_metadata;
    ASSERT_TRUE(open().ok());
    send(0, packet_of(tcp_frame(1)));
    ASSERT_EQ(device.sent.size(), 1u);
    EXPECT_TRUE(device.sent[0].has_metadata);
    EXPECT_EQ(device.sent[0].metadata[1], 0u);
}

}  // namespace
}  // namespace kiln::ena::model

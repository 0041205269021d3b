// What the driver of the Elastic Network Adapter does about a card that fails, falls silent or
// lies.
#include "tests/ena/rig.hh"

namespace kiln::ena::model {
namespace {

namespace s = received_status;

class ena_recovery : public rig {
protected:
    void start() {
        host::set_time(1000 * ns_per_s);
        ASSERT_TRUE(open().ok());
        turn();
    }
    // Both ways on every queue.
    void expect_it_works() {
        received.frames.clear();
        device.sent.clear();
        for (u32 port = 1; port <= 40; ++port) {
            EXPECT_TRUE(device.arrive(tcp_frame(port)));
            send(port % driver.pairs(), packet_of(tcp_frame(port)));
        }
        EXPECT_TRUE(turn());
        EXPECT_EQ(received.frames.size(), 40u);
        EXPECT_EQ(device.sent.size(), 40u);
    }
    void expect_one_reset(reset_reason why) {
        EXPECT_EQ(device.resets, 2u);
        EXPECT_EQ(device.last_reason, static_cast<u32>(why));
        EXPECT_FALSE(device.is_cut_off);
        expect_it_works();
    }
};

// ---- events ----

TEST_F(ena_recovery, the_link_goes_down_and_up) {
    start();
    device.tell(event_group::link, 0);
    turn();
    EXPECT_FALSE(driver.link_up());
    device.tell(event_group::link, 1);
    turn();
    EXPECT_TRUE(driver.link_up());
}

TEST_F(ena_recovery, events_come_for_ever) {
    start();
    for (u32 i = 0; i < 1000; ++i) {
        device.tell(event_group::link, i % 2);
        turn();
        ASSERT_EQ(driver.link_up(), i % 2 == 1);
    }
}

TEST_F(ena_recovery, a_card_that_says_that_it_lives_is_left_alone) {
    start();
    for (u32 i = 0; i < 30; ++i) {
        pass(1 * ns_per_s);
        device.tell(event_group::keep_alive);
        EXPECT_TRUE(turn());
    }
    EXPECT_EQ(device.resets, 1u);
}

TEST_F(ena_recovery, a_card_that_gives_no_sign_of_life_is_reset) {
    start();
    pass(5 * ns_per_s);
    turn();
    EXPECT_EQ(device.resets, 1u);
    pass(2 * ns_per_s);
    turn();
    expect_one_reset(reset_reason::no_keep_alive);
}

TEST_F(ena_recovery, the_card_says_how_long_it_may_be_silent) {
    device.is.hints.keep_alive_ms = 20'000;
    start();
    pass(15 * ns_per_s);
    turn();
    EXPECT_EQ(device.resets, 1u);
    event told{};
    told.group = static_cast<u16>(event_group::notification);
    told.kind = event::new_hints;
    told.body[0] = u32{hints_feature::no_timeout} << 16;
    device.tell_raw(told);
    turn();
    pass(100 * ns_per_s);
    turn();
    EXPECT_EQ(device.resets, 1u);
}

TEST_F(ena_recovery, a_card_without_such_events_may_be_silent) {
    device.is.event_groups = bit_of(event_group::link);
    start();
    pass(100 * ns_per_s);
    turn();
    EXPECT_EQ(device.resets, 1u);
}

TEST_F(ena_recovery, a_card_is_reset_when_it_asks) {
    start();
    device.tell(event_group::reset_request);
    turn();
    expect_one_reset(reset_reason::generic);
}

TEST_F(ena_recovery, a_card_that_reports_a_fatal_error_is_reset) {
    start();
    device.tell(event_group::fatal);
    turn();
    expect_one_reset(reset_reason::generic);
}

TEST_F(ena_recovery, a_warning_is_a_line_in_the_log) {
    start();
    device.tell(event_group::warning, 0, 3);
    turn();
    EXPECT_EQ(device.resets, 1u);
}

class ena_strange_event : public ena_recovery, public ::testing::WithParamInterface<u16> {};

TEST_P(ena_strange_event, ends_in_a_reset) {
    start();
    event told{};
    told.group = GetParam();
    device.tell_raw(told);
    turn();
    expect_one_reset(reset_reason::generic);
}
INSTANTIATE_TEST_SUITE_P(, ena_strange_event, ::testing::Values(5, 31, 32, 0xffff));

// ---- frames that are not sent ----

TEST_F(ena_recovery, frames_that_are_not_sent_for_seconds_end_in_a_reset_and_are_counted) {
    start();
    device.does.holds_sent = true;
    for (u32 i = 0; i < 3; ++i) {
        send(1, packet_of(tcp_frame(i)));
    }
    for (u32 i = 0; i < 7; ++i) {
        EXPECT_EQ(device.resets, i < 6 ? 1u : 2u);
        device.tell(event_group::keep_alive);
        pass(1 * ns_per_s);
        turn();
    }
    EXPECT_EQ(sent_dropped(), 3u);
    device.does.holds_sent = false;
    expect_one_reset(reset_reason::nothing_sent);
}

TEST_F(ena_recovery, one_lost_completion_among_many_is_borne) {
    start();
    device.does.holds_sent = true;
    send(1, packet_of(tcp_frame(1)));
    device.does.holds_sent = false;
    for (u32 i = 0; i < 30; ++i) {
        send(1, packet_of(tcp_frame(2)));
        device.tell(event_group::keep_alive);
        pass(1 * ns_per_s);
        turn();
    }
    EXPECT_EQ(device.resets, 1u);
    EXPECT_EQ(driver.rings(1).transmits().in_flight(), 1u);
}

TEST_F(ena_recovery, many_lost_completions_are_not) {
    device.is.hints.unsent_limit = 10;
    start();
    device.does.holds_sent = true;
    for (u32 i = 0; i < 11; ++i) {
        send(1, packet_of(tcp_frame(1)));
    }
    device.does.holds_sent = false;
    for (u32 i = 0; i < 7; ++i) {
        send(1, packet_of(tcp_frame(2)));
        device.tell(event_group::keep_alive);
        pass(1 * ns_per_s);
        turn();
    }
    EXPECT_EQ(sent_dropped(), 11u);
    expect_one_reset(reset_reason::nothing_sent);
}

// ---- lies ----

struct lie {
    const char* what;
    void (*tell)(card& device);
};

class ena_lies : public ena_recovery, public ::testing::WithParamInterface<lie> {};

TEST_P(ena_lies, end_in_a_reset) {
    device.is.capabilities = device_attributes::checked_zeros;
    start();
    GetParam().tell(device);
    EXPECT_TRUE(turn());
    expect_one_reset(reset_reason::bad_received_id);
}

constexpr lie lies[] = {
    {"a_buffer_beyond_the_ring",
     [](card& c) { c.complete_received(1, s::first | s::last, 60, 256); }},
    {"the_farthest_buffer",
     [](card& c) { c.complete_received(1, s::first | s::last, 60, 0xffff); }},
    {"a_buffer_that_was_never_given",
     [](card& c) { c.complete_received(1, s::first | s::last, 60, 255); }},
    {"a_buffer_twice",
     [](card& c) {
         c.complete_received(1, s::first | s::last, 60, 7);
         c.complete_received(1, s::first | s::last, 60, 7);
     }},
    {"more_bytes_than_a_buffer_holds",
     [](card& c) { c.complete_received(1, s::first | s::last, 1985, 3); }},
    {"bytes_behind_a_buffer",
     [](card& c) { c.complete_received(1, s::first | s::last, 1984, 3, 1); }},
    {"the_farthest_bytes",
     [](card& c) { c.complete_received(1, s::first | s::last, 0xffff, 3, 255); }},
    {"a_frame_in_a_frame",
     [](card& c) {
         c.complete_received(1, s::first, 60, 3);
         c.complete_received(1, s::first, 60, 4);
     }},
    {"a_frame_of_too_many_buffers",
     [](card& c) {
         for (u32 i = 0; i < 5; ++i) {
             c.complete_received(1, i == 0 ? s::first : 0, 60, i);
         }
     }},
    {"bits_that_must_be_zero",
     [](card& c) { c.complete_received(1, s::first | s::last | 1u << 17, 60, 3); }},
    {"a_frame_sent_that_was_not_given", [](card& c) { c.complete_sent(1, 0); }},
    {"a_frame_sent_beyond_the_ring", [](card& c) { c.complete_sent(1, 0xffff); }},
    {"zeros_of_a_completion", [](card& c) { c.complete_sent(1, 0, 0x40); }},
};
INSTANTIATE_TEST_SUITE_P(, ena_lies, ::testing::ValuesIn(lies),
                         [](const auto& each) { return std::string(each.param.what); });

TEST_F(ena_recovery, a_card_may_fill_its_ring_of_completions_with_anything) {
    start();
    for (u32 i = 0; i < 256; ++i) {  // every phase is that of the round
        device.complete_received(2, s::first | s::last, 60, i * 37);
    }
    EXPECT_TRUE(turn());
    expect_one_reset(reset_reason::bad_received_id);
}

TEST_F(ena_recovery, interrupts_without_end_switch_the_card_off) {
    start();
    for (u32 i = 0; i <= nic::queue_pair::most_idle_interrupts; ++i) {
        device.interrupt(2);
    }
    EXPECT_TRUE(device.is_silent);
    EXPECT_FALSE(turn());
    EXPECT_TRUE(device.is_cut_off);
    EXPECT_FALSE(driver.link_up());
    EXPECT_EQ(device.resets, 1u);
}

TEST_F(ena_recovery, interrupts_for_events_without_end_do_so_too) {
    start();
    for (u32 i = 0; i <= nic::queue_pair::most_idle_interrupts; ++i) {
        device.interrupt(0);
    }
    EXPECT_FALSE(turn());
    EXPECT_TRUE(device.is_cut_off);
}

// ---- resets ----

TEST_F(ena_recovery, a_card_that_goes_on_lying_is_switched_off) {
    start();
    for (u32 i = 0; i < nic::reset_limit::most_in_a_row; ++i) {
        device.complete_sent(0, 9);
        ASSERT_TRUE(turn());
    }
    device.complete_sent(0, 9);
    EXPECT_FALSE(turn());
    EXPECT_TRUE(device.is_cut_off);
    EXPECT_TRUE(device.is_silent);
    EXPECT_EQ(device.resets, 1 + nic::reset_limit::most_in_a_row);
    send(0, packet_of(tcp_frame(1)));
    EXPECT_EQ(sent_dropped(), 1u);
}

TEST_F(ena_recovery, a_card_that_has_worked_for_a_while_may_fail_again) {
    start();
    for (u32 i = 0; i < 3 * nic::reset_limit::most_in_a_row; ++i) {
        device.complete_sent(0, 9);
        ASSERT_TRUE(turn());
        for (u32 j = 0; j < 11; ++j) {
            pass(60 * ns_per_s);
            device.tell(event_group::keep_alive);
            ASSERT_TRUE(turn());
        }
    }
}

TEST_F(ena_recovery, buffers_and_frames_of_before_are_not_mixed_up_with_those_of_after) {
    start();
    device.does.holds_sent = true;
    for (u32 i = 0; i < 10; ++i) {
        send(3, packet_of(tcp_frame(i)));
        device.arrive(tcp_frame(i));
    }
    device.tell(event_group::reset_request);
    device.does.holds_sent = false;
    turn();
    EXPECT_EQ(sent_dropped(), 10u);
    for (u32 i = 0; i < driver.pairs(); ++i) {
        EXPECT_EQ(driver.rings(i).transmits().in_flight(), 0u);
        EXPECT_EQ(device.buffers(i), 255u);
    }
    EXPECT_EQ(device.table().size(), 128u) << "the table is programmed again";
    expect_it_works();
}

// By the real clock: the driver waits as long as the device states.
class ena_failed_reset : public rig {
protected:
    ena_failed_reset() { device.is.event_groups &= ~bit_of(event_group::keep_alive); }
};

TEST_F(ena_failed_reset, is_tried_again) {
    ASSERT_TRUE(open().ok());
    device.does.silent_resets = 2;
    device.tell(event_group::reset_request);
    EXPECT_TRUE(turn());
    EXPECT_EQ(device.resets, 2u);
    EXPECT_FALSE(device.is_cut_off);
    EXPECT_TRUE(device.arrive(tcp_frame(1)));
}

TEST_F(ena_failed_reset, switches_the_card_off_in_the_end) {
    ASSERT_TRUE(open().ok());
    send(1, packet_of(tcp_frame(1)));
    device.does.gone = true;
    device.tell(event_group::reset_request);
    EXPECT_FALSE(turn());
    EXPECT_TRUE(device.is_cut_off);
}

TEST_F(ena_failed_reset, without_an_answer_to_a_command_switches_the_card_off) {
    ASSERT_TRUE(open().ok());
    device.does.silent_commands = true;
    device.tell(event_group::reset_request);
    EXPECT_FALSE(turn());
    EXPECT_TRUE(device.is_cut_off);
}

TEST_F(ena_failed_reset, into_another_card_switches_it_off) {
    ASSERT_TRUE(open().ok());
    device.is.mac[5] = 9;
    device.tell(event_group::reset_request);
    EXPECT_FALSE(turn());
    EXPECT_TRUE(device.is_cut_off);
}

TEST_F(ena_failed_reset, into_a_smaller_card_switches_it_off) {
    ASSERT_TRUE(open().ok());
    device.is.queues = 2;
    device.tell(event_group::reset_request);
    EXPECT_FALSE(turn());
    EXPECT_TRUE(device.is_cut_off);
}

}  // namespace
}  // namespace kiln::ena::model

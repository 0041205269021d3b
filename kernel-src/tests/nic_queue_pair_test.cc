// The thread of a network card's queue, round by round, with rings that do as the test says.
#include "drivers/nic/queue_pair.hh"

#include <gtest/gtest.h>

#include <deque>

#include "core/clock.hh"
#include "tests/host/host.hh"

namespace kiln::nic {
namespace {

using net::packet_buffer;
using net::packet_ptr;

class scripted_rings final : public rings {
public:
    ~scripted_rings() override { scripted_rings::clear(); }

    received take(packet_ptr& frame) override {
        if (arriving.empty()) {
            return received::none;
        }
        const received next = arriving.front();
        arriving.pop_front();
        if (next == received::frame) {
            frame = packet_buffer::make().take();
        }
        return next;
    }
    bool has_received() const override { return !arriving.empty(); }
    bool refill() override { return true; }
    placed put(packet_buffer& frame) override {
        if (refuses) {
            return placed::refused;
        }
        if (room == 0) {
            return placed::no_room;
        }
        --room;
        on_ring.push_back(&frame);
        return placed::on_ring;
    }
    bool reap(net::packet_queue& sent) override {
        while (!on_ring.empty() && sends) {
            sent.push_back(packet_ptr(on_ring.front()));
            on_ring.pop_front();
            ++room;
        }
        return !broken;
    }
    bool has_sent() const override { return !on_ring.empty() && sends; }
    bool is_overdue() override { return overdue; }
    void tell_device() override { ++told; }
    void allow_interrupts(bool) override {}
    void clear() override {
        for (packet_buffer* each : on_ring) {
            delete each;
        }
        on_ring.clear();
    }

    std::deque<received> arriving;
    // Not a packet_queue: a frame that is put may still be on another.
    std::deque<packet_buffer*> on_ring;
    usize room = 4;
    u32 told = 0;
    bool sends = false;
    bool broken = false;
    bool refuses = false;
    bool overdue = false;
};

class counting_stack final : public net::net_receiver, public card {
public:
    void deliver(packet_ptr) override { ++frames; }
    void batch_end() override { ++batches; }
    void link_changed(bool) override {}
    void look_round(u32) override {}
    trouble trouble_seen(u32) override { return seen; }
    bool recover(trouble what) override {
        recovered_from = what;
        seen = trouble::none;
        return recovers;
    }
    u32 frames = 0, batches = 0;
    trouble seen = trouble::none, recovered_from = trouble::none;
    bool recovers = false;
};

class nic_queue_pair : public ::testing::Test {
protected:
    nic_queue_pair() {
        host::set_time(1 * ns_per_s);
        queue.init(device, stack, 0, true);
        queue.deliver_to(stack);
    }
    ~nic_queue_pair() override { host::use_real_time(); }

    void send(u32 frames) {
        for (u32 i = 0; i < frames; ++i) {
            queue.transmit(packet_buffer::make().take(), false);
        }
    }
    net::device_counters counters() {
        net::device_counters sum{};
        queue.add_counters(sum);
        return sum;
    }

    scripted_rings device;
    counting_stack stack;
    queue_pair queue;
};

TEST_F(nic_queue_pair, frames_go_to_the_stack_in_batches) {
    device.arriving.assign(100, received::frame);
    device.arriving[3] = received::dropped;
    EXPECT_TRUE(queue.round().worked);
    EXPECT_TRUE(queue.round().worked);
    EXPECT_FALSE(queue.round().worked);
    EXPECT_EQ(stack.frames, 99u);
    EXPECT_EQ(stack.batches, 2u);
    EXPECT_EQ(counters().received_dropped, 1u);
}

TEST_F(nic_queue_pair, a_broken_ring_is_reported) {
    device.arriving = {received::frame, received::broken};
    EXPECT_EQ(queue.round().what, trouble::broken_rings);
    device.arriving.clear();
    device.broken = true;
    EXPECT_EQ(queue.round().what, trouble::broken_rings);
    send(1);
    EXPECT_EQ(counters().sent_dropped, 1u);
}

TEST_F(nic_queue_pair, frames_wait_for_room_and_beyond_a_bound_are_dropped) {
    send(4 + queue_pair::longest_backlog + 3);
    EXPECT_EQ(counters().sent_packets, 4u);
    EXPECT_EQ(counters().sent_dropped, 3u);
    device.sends = true;
    EXPECT_EQ(queue.round().what, trouble::none);
    for (usize i = 0; i < queue_pair::longest_backlog / 4; ++i) {
        EXPECT_EQ(queue.round().what, trouble::none);
    }
    EXPECT_EQ(counters().sent_packets, 4 + queue_pair::longest_backlog);
}

TEST_F(nic_queue_pair, what_can_never_be_sent_holds_up_nothing) {
    device.room = 0;
    send(2);
    device.refuses = true;
    EXPECT_EQ(queue.round().what, trouble::none);
    EXPECT_EQ(counters().sent_dropped, 2u);
    send(1);
    EXPECT_EQ(counters().sent_dropped, 3u);
}

TEST_F(nic_queue_pair, a_device_that_sends_nothing_for_seconds_is_reported) {
    send(5);
    host::advance_time(4 * ns_per_s);
    EXPECT_EQ(queue.round().what, trouble::none);
    host::advance_time(2 * ns_per_s);
    EXPECT_EQ(queue.round().what, trouble::not_sending);
    queue.pause();
    send(1);
    EXPECT_EQ(counters().sent_dropped, 1u) << "nothing is put on a ring that is being reset";
    queue.resume();
    EXPECT_EQ(queue.round().what, trouble::none) << "it has its time again";
}

TEST_F(nic_queue_pair, frames_that_the_ring_calls_overdue_are_reported) {
    device.overdue = true;
    EXPECT_EQ(queue.round().what, trouble::not_sending);
}

TEST_F(nic_queue_pair, what_the_card_sees_is_recovered_from_before_a_round) {
    device.arriving = {received::frame};
    stack.seen = trouble::wants_reset;
    stack.recovers = true;
    EXPECT_EQ(queue.turn(), queue_pair::turn_end::worked);
    EXPECT_EQ(stack.recovered_from, trouble::wants_reset);
    EXPECT_EQ(stack.frames, 0u);
    EXPECT_EQ(queue.turn(), queue_pair::turn_end::worked);
    EXPECT_EQ(queue.turn(), queue_pair::turn_end::idle);
    EXPECT_EQ(stack.frames, 1u);
}

TEST_F(nic_queue_pair, without_recovery_the_thread_ends) {
    stack.seen = trouble::failed;
    EXPECT_EQ(queue.turn(), queue_pair::turn_end::over);
}

TEST_F(nic_queue_pair, frames_lost_by_a_reset_are_counted) {
    send(3);
    queue.pause();
    queue.count_lost(3);
    queue.resume();
    EXPECT_EQ(counters().sent_dropped, 3u);
}

TEST_F(nic_queue_pair, interrupts_without_end_are_reported) {
    for (u32 i = 0; i < queue_pair::most_idle_interrupts; ++i) {
        ASSERT_TRUE(queue.wake_by_interrupt());
    }
    EXPECT_FALSE(queue.wake_by_interrupt()) << "the handler silences the device";
    EXPECT_EQ(queue.round().what, trouble::interrupt_storm);
}

TEST_F(nic_queue_pair, interrupts_with_work_are_none_too_many) {
    for (u32 i = 0; i < 3 * queue_pair::most_idle_interrupts; ++i) {
        ASSERT_TRUE(queue.wake_by_interrupt());
        if (i % 1000 == 0) {
            device.arriving = {received::frame};
            EXPECT_EQ(queue.round().what, trouble::none);
        }
    }
}

}  // namespace
}  // namespace kiln::nic

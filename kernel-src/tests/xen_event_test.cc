// Event channels on a model of Xen's two-level interface: nothing is lost under load, ports move and
// close while events arrive, and nothing that the host writes into the shared page does harm. And the
// clock that Xen and KVM share with a guest.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "drivers/xen/event_bits.hh"
#include "drivers/xen/event_channel.hh"
#include "lib/pv_clock.hh"
#include "tests/host/xen_machine.hh"

namespace kiln {
namespace {

namespace events = xen::event_channel;
using host::xen_machine;

struct counter {
    std::atomic<u64> calls{0};
    static void handle(void* of) { ++static_cast<counter*>(of)->calls; }
};

TEST(xen_events, reach_their_handlers) {
    xen_machine& machine = xen_machine::the();
    counter first;
    counter second;
    const u32 one = events::allocate_unbound(0).take();
    const u32 two = events::allocate_unbound(0).take();
    ASSERT_TRUE(events::attach(one, counter::handle, &first, 0).ok());
    ASSERT_TRUE(events::attach(two, counter::handle, &second, 0).ok());
    machine.raise(one);
    machine.raise(one);
    machine.raise(two);
    EXPECT_EQ(first.calls, 2u);
    EXPECT_EQ(second.calls, 1u);
    events::close(one);
    events::close(two);
    EXPECT_FALSE(machine.is_open(one));
}

TEST(xen_events, that_came_before_attach_are_delivered_at_attach) {
    xen_machine& machine = xen_machine::the();
    counter count;
    const u32 port = events::allocate_unbound(0).take();
    machine.raise(port);
    EXPECT_EQ(count.calls, 0u);
    ASSERT_TRUE(events::attach(port, counter::handle, &count, 0).ok());
    EXPECT_EQ(count.calls, 1u);
    events::close(port);
}

TEST(xen_events, wait_while_masked) {
    xen_machine& machine = xen_machine::the();
    counter count;
    const u32 port = events::allocate_unbound(0).take();
    ASSERT_TRUE(events::attach(port, counter::handle, &count, 0).ok());
    events::mask(port);
    machine.raise(port);
    machine.raise(port);
    EXPECT_EQ(count.calls, 0u);
    events::unmask(port);
    EXPECT_EQ(count.calls, 1u);
    events::close(port);
}

TEST(xen_events, of_a_closed_port_are_not_delivered_to_its_next_owner) {
    xen_machine& machine = xen_machine::the();
    counter count;
    const u32 port = events::allocate_unbound(0).take();
    machine.raise(port);
    events::close(port);
    machine.next_port = port;
    ASSERT_EQ(events::allocate_unbound(0).take(), port);
    ASSERT_TRUE(events::attach(port, counter::handle, &count, 0).ok());
    EXPECT_EQ(count.calls, 0u);
    events::close(port);
}

TEST(xen_events, of_another_cpu_are_left_to_it) {
    xen_machine& machine = xen_machine::the();
    counter mine;
    counter others;
    const u32 one = events::allocate_unbound(0).take();
    const u32 two = events::allocate_unbound(0).take();
    ASSERT_TRUE(events::attach(one, counter::handle, &mine, 0).ok());
    ASSERT_TRUE(events::attach(two, counter::handle, &others, 1).ok());
    EXPECT_EQ(machine.vcpu_of_port(two), 1u);
    machine.raise(two);
    machine.raise(one);
    EXPECT_EQ(mine.calls, 1u);
    EXPECT_EQ(others.calls, 0u);
    ASSERT_TRUE(events::attach(two, counter::handle, &others, 0).ok());
    EXPECT_EQ(others.calls, 1u);
    events::close(one);
    events::close(two);
}

TEST(xen_events, ports_that_cannot_be_used_are_given_back) {
    xen_machine& machine = xen_machine::the();
    const usize before = machine.open_ports();
    for (const u32 bad : {xen::ports_of_two_levels, xen::ports_of_two_levels + 77, ~u32{0}}) {
        machine.next_port = bad;
        EXPECT_EQ(events::allocate_unbound(0).error(), err::nospc);
    }
    EXPECT_EQ(machine.open_ports(), before);
    counter count;
    EXPECT_FALSE(events::attach(~u32{0}, counter::handle, &count, 0).ok());
    events::mask(~u32{0});
    events::close(~u32{0});
}

// The last event of a port always comes after what was written before it.
struct mailbox {
    std::atomic<u64> written{0};
    std::atomic<u64> seen{0};
    static void handle(void* of) {
        auto& self = *static_cast<mailbox*>(of);
        self.seen = self.written.load();
    }
};

TEST(xen_events, none_is_lost_when_many_send) {
    constexpr u32 ports = 200;
    constexpr u32 rounds = 20'000;
    xen_machine& machine = xen_machine::the();
    std::vector<mailbox> boxes(ports);
    std::vector<u32> numbers;
    for (mailbox& box : boxes) {
        numbers.push_back(events::allocate_unbound(0).take());
        ASSERT_TRUE(events::attach(numbers.back(), mailbox::handle, &box, 0).ok());
    }
    const auto send = [&](u32 seed) {
        std::mt19937 random(seed);
        for (u32 i = 0; i < rounds; ++i) {
            const u32 which = random() % ports;
            ++boxes[which].written;
            machine.raise(numbers[which]);
        }
    };
    std::thread disturber([&] {
        std::mt19937 random(7);
        for (u32 i = 0; i < rounds; ++i) {
            const u32 which = random() % ports;
            events::mask(numbers[which]);
            events::unmask(numbers[which]);
        }
    });
    std::thread one(send, 1);
    std::thread two(send, 2);
    one.join();
    two.join();
    disturber.join();
    for (u32 i = 0; i < ports; ++i) {
        EXPECT_EQ(boxes[i].seen, boxes[i].written) << i;
        events::close(numbers[i]);
    }
}

TEST(xen_events, close_waits_for_a_running_handler) {
    struct slow {
        std::atomic<bool> entered{false}, left{false}, gone{false};
        static void handle(void* of) {
            auto& self = *static_cast<slow*>(of);
            EXPECT_FALSE(self.gone);
            self.entered = true;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            EXPECT_FALSE(self.gone);
            self.left = true;
        }
    };
    xen_machine& machine = xen_machine::the();
    slow state;
    const u32 port = events::allocate_unbound(0).take();
    ASSERT_TRUE(events::attach(port, slow::handle, &state, 0).ok());
    std::thread sender([&] { machine.raise(port); });
    while (!state.entered) {
        std::this_thread::yield();
    }
    events::close(port);
    EXPECT_TRUE(state.left);
    state.gone = true;
    sender.join();
}

TEST(xen_events, a_shared_page_full_of_ones_calls_each_handler_once) {
    xen_machine& machine = xen_machine::the();
    counter count;
    const u32 port = events::allocate_unbound(0).take();
    ASSERT_TRUE(events::attach(port, counter::handle, &count, 0).ok());
    xen::shared_info& shared = xen::the_shared_info();
    std::vector<u64> masks;
    for (u32 word = 0; word < xen::event_words; ++word) {
        masks.push_back(shared.mask[word]);
        shared.pending[word] = ~u64{0};
        shared.mask[word] = 0;
    }
    shared.vcpu[0].pending_selector = ~u64{0};
    shared.vcpu[0].upcall_pending = 0xff;
    host::raise_upcall();
    EXPECT_EQ(count.calls, 1u);
    host::raise_upcall();
    EXPECT_EQ(count.calls, 1u);
    for (u32 word = 0; word < xen::event_words; ++word) {
        shared.mask[word] = masks[word];
        shared.pending[word] = 0;
    }
    events::close(port);
    static_cast<void>(machine);
}

TEST(pv_clock, is_read_whole_or_not_at_all) {
    struct versioned {
        u32 version;
        u32 a, b;
    };
    versioned shared{0, 0, 0};
    std::atomic<bool> ending{false};
    std::thread writer([&] {
        volatile versioned& to = shared;
        for (u32 i = 1; !ending; ++i) {
            to.version = to.version + 1;
            std::atomic_thread_fence(std::memory_order_seq_cst);
            to.a = i;
            to.b = ~i;
            std::atomic_thread_fence(std::memory_order_seq_cst);
            to.version = to.version + 1;
            for (u32 pause = 0; pause < 100; ++pause) {
                std::atomic_signal_fence(std::memory_order_seq_cst);
            }
        }
    });
    for (u32 i = 0; i < 10'000; ++i) {
        const result<versioned> copy = read_versioned(shared);
        if (copy.ok() && copy.value().version != 0) {
            ASSERT_EQ(copy.value().a, ~copy.value().b);
        }
    }
    ending = true;
    writer.join();
}

TEST(pv_clock, that_is_written_for_ever_is_none) {
    const pv_clock stuck{.version = 1, .multiplier = 1};
    EXPECT_EQ(read_versioned(stuck).error(), err::timedout);
}

TEST(pv_clock, with_an_impossible_shift_is_not_used) {
    EXPECT_FALSE(is_usable({.multiplier = 0}));
    EXPECT_FALSE(is_usable({.multiplier = 1, .shift = 64}));
    EXPECT_FALSE(is_usable({.multiplier = 1, .shift = -128}));
    EXPECT_TRUE(is_usable({.multiplier = 1, .shift = -1}));
}

}  // namespace
}  // namespace kiln

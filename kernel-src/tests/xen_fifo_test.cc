// Event channels by queues, on a model of Xen's side of them.
#include <gtest/gtest.h>

#include <mutex>
#include <random>
#include <thread>

#include "drivers/xen/event_fifo.hh"
#include "tests/host/xen.hh"

namespace kiln {
namespace {

using xen::event_fifo;
using xen::fifo_control;

constexpr u32 priority = 7;

// What Xen does; every port is of CPU 0 and of one priority.
struct xen_side {
    std::mutex lock;
    fifo_control* control = nullptr;
    std::vector<std::atomic<u32>*> pages;
    u32 tail = 0;
    bool refuses = false;

    std::atomic<u32>& word(u32 port) {
        return pages[port / event_fifo::words_of_page][port % event_fifo::words_of_page];
    }

    static bool set(std::atomic<u32>& word, u32 bit) { return (word.fetch_or(bit) & bit) != 0; }

    void raise(u32 port) {
        std::lock_guard guard(lock);
        std::atomic<u32>& own = word(port);
        set(own, event_fifo::pending_bit);
        if ((own & event_fifo::masked_bit) == 0 && !set(own, event_fifo::linked_bit)) {
            link(port);
        }
    }

    void link(u32 port) {
        bool linked = false;
        if (tail == port) {
            tail = 0;
        }
        if (tail != 0) {
            std::atomic<u32>& last = word(tail);
            u32 old = last;
            while ((old & event_fifo::linked_bit) != 0 && !linked) {
                linked = last.compare_exchange_strong(old, (old & ~event_fifo::link_mask) | port);
            }
        }
        tail = port;
        if (linked) {
            return;
        }
        control->head[priority] = port;
        if ((control->ready.fetch_or(1u << priority) & 1u << priority) == 0) {
            xen::vcpu_info_of(0).upcall_pending = 1;
        }
    }

    void unmask(u32 port) {
        word(port).fetch_and(~event_fifo::masked_bit);
        if ((word(port) & event_fifo::pending_bit) != 0) {
            raise(port);
        }
    }
};

xen_side* model = nullptr;

i64 answer(u32, const host::hypercall_arguments& a) {
    const u64 frame = *reinterpret_cast<const u64*>(a.a1);
    if (model->refuses) {
        return -static_cast<i64>(err::nosys);
    }
    if (a.a0 == xen::event_operation::init_control) {
        model->control = reinterpret_cast<fifo_control*>(frame << page_shift);
    } else if (a.a0 == xen::event_operation::expand_array) {
        model->pages.push_back(reinterpret_cast<std::atomic<u32>*>(frame << page_shift));
    }
    return 0;
}

struct rig {
    xen_side other;
    event_fifo fifo;

    rig() {
        model = &other;
        host::set_hypercall_model(&answer);
    }
    std::vector<u32> take() {
        std::vector<u32> ports;
        fifo.take(0, xen::vcpu_info_of(0), [&](u32 port) { ports.push_back(port); });
        return ports;
    }
};

TEST(xen_fifo, a_xen_without_it_is_left_as_it_was) {
    rig r;
    r.other.refuses = true;
    EXPECT_EQ(r.fifo.start(2).error(), err::nosys);
}

TEST(xen_fifo, events_come_in_their_order_and_once) {
    rig r;
    ASSERT_TRUE(r.fifo.start(1).ok());
    for (const u32 port : {5u, 3u, 9u}) {
        r.other.unmask(port);
    }
    for (const u32 port : {9u, 3u, 9u, 5u}) {
        r.other.raise(port);
    }
    EXPECT_EQ(xen::vcpu_info_of(0).upcall_pending, 1);
    EXPECT_EQ(r.take(), (std::vector<u32>{9, 3, 5}));
    EXPECT_EQ(xen::vcpu_info_of(0).upcall_pending, 0);
    EXPECT_TRUE(r.take().empty());
    r.other.raise(5);
    EXPECT_EQ(r.take(), std::vector<u32>{5});
}

TEST(xen_fifo, masked_events_wait) {
    rig r;
    ASSERT_TRUE(r.fifo.start(1).ok());
    r.other.raise(4);
    EXPECT_TRUE(r.take().empty());
    r.other.unmask(4);
    EXPECT_EQ(r.take(), std::vector<u32>{4});
    r.other.raise(4);
    r.fifo.mask(4);
    EXPECT_TRUE(r.take().empty());
    r.other.unmask(4);
    EXPECT_EQ(r.take(), std::vector<u32>{4});
    r.other.raise(4);
    r.fifo.clear_pending(4);
    EXPECT_TRUE(r.take().empty());
}

TEST(xen_fifo, ports_open_without_a_call_when_nothing_is_pending) {
    rig r;
    ASSERT_TRUE(r.fifo.start(1).ok());
    EXPECT_TRUE(r.fifo.unmask(4));
    r.other.raise(4);
    EXPECT_EQ(r.take(), std::vector<u32>{4});
    r.fifo.mask(4);
    r.other.raise(4);
    EXPECT_FALSE(r.fifo.unmask(4));
    r.other.unmask(4);
    EXPECT_EQ(r.take(), std::vector<u32>{4});
    r.fifo.mask(4);
    r.other.word(4) = r.other.word(4) | event_fifo::busy_bit;
    EXPECT_FALSE(r.fifo.unmask(4));
    EXPECT_FALSE(r.fifo.unmask(~u32{0}));
}

TEST(xen_fifo, grows_for_large_ports) {
    rig r;
    ASSERT_TRUE(r.fifo.start(1).ok());
    EXPECT_EQ(r.other.pages.size(), 1u);
    ASSERT_TRUE(r.fifo.cover(event_fifo::words_of_page * 3).ok());
    EXPECT_EQ(r.other.pages.size(), 4u);
    EXPECT_FALSE(r.fifo.cover(event_fifo::most_ports).ok());
    r.other.unmask(event_fifo::words_of_page * 3);
    r.other.raise(event_fifo::words_of_page * 3);
    EXPECT_EQ(r.take(), std::vector<u32>{event_fifo::words_of_page * 3});
}

TEST(xen_fifo, links_to_nowhere_do_no_harm) {
    rig r;
    ASSERT_TRUE(r.fifo.start(1).ok());
    r.other.unmask(6);
    r.other.raise(6);
    r.other.word(6) = r.other.word(6) | event_fifo::link_mask;
    EXPECT_EQ(r.take(), std::vector<u32>{6});
    r.other.control->head[3] = ~u32{0};
    r.other.control->ready = ~u32{0};
    EXPECT_TRUE(r.take().empty());
    r.fifo.mask(~u32{0});
    r.fifo.clear_pending(event_fifo::most_ports - 1);
}

TEST(xen_fifo, none_is_lost_when_many_send) {
    constexpr u32 ports = 100;
    constexpr u32 rounds = 50'000;
    rig r;
    ASSERT_TRUE(r.fifo.start(1).ok());
    struct mailbox {
        std::atomic<u64> written{0};
        u64 seen = 0;
    };
    std::vector<mailbox> boxes(ports + 1);
    for (u32 port = 1; port <= ports; ++port) {
        r.other.unmask(port);
    }
    std::atomic<int> senders{2};
    const auto send = [&](u32 seed) {
        std::mt19937 random(seed);
        for (u32 i = 0; i < rounds; ++i) {
            const u32 port = 1 + random() % ports;
            ++boxes[port].written;
            r.other.raise(port);
        }
        --senders;
    };
    std::thread one(send, 1);
    std::thread two(send, 2);
    bool last = false;
    while (!last) {
        last = senders == 0;
        while (xen::vcpu_info_of(0).upcall_pending != 0) {
            for (const u32 port : r.take()) {
                boxes[port].seen = boxes[port].written;
            }
        }
    }
    one.join();
    two.join();
    for (u32 port = 1; port <= ports; ++port) {
        EXPECT_EQ(boxes[port].seen, boxes[port].written) << port;
    }
}

}  // namespace
}  // namespace kiln

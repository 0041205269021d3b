// The futex queues, with real threads on the host's park and unpark.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "linux/futex_queue.hh"
#include "tests/host/host.hh"

namespace kiln {
namespace {

constexpr futex_key key_a{nullptr, 0x1000};
constexpr futex_key key_b{nullptr, 0x2000};

result<bool> yes() {
    return true;
}

class futex_test : public testing::Test {
protected:
    void await_waiters(const futex_key& key, u32 wanted) {
        while (table.count_waiters(key) != wanted) {
            std::this_thread::yield();
        }
    }
    std::thread start_waiter(const futex_key& key, u32 bits = ~u32{0}) {
        return std::thread([this, key, bits] {
            futex_waiter waiter(key, bits);
            ASSERT_TRUE(table.enqueue(waiter, yes).ok());
            ASSERT_TRUE(table.sleep(waiter, never).ok());
            woken.fetch_add(1);
        });
    }

    static inline futex_table table;
    std::atomic<u32> woken{0};
};

TEST_F(futex_test, nothing_to_wake) {
    EXPECT_EQ(table.wake(key_a, 1).value(), 0u);
}

TEST_F(futex_test, a_changed_word_is_not_waited_for) {
    futex_waiter waiter(key_a);
    EXPECT_EQ(table.enqueue(waiter, []() -> result<bool> { return false; }).error(), err::again);
    EXPECT_EQ(table.enqueue(waiter, []() -> result<bool> { return err::fault; }).error(), err::fault);
    EXPECT_EQ(table.count_waiters(key_a), 0u);
}

TEST_F(futex_test, wakes_no_more_than_asked_for_and_only_that_key) {
    std::thread a1 = start_waiter(key_a);
    std::thread a2 = start_waiter(key_a);
    std::thread b = start_waiter(key_b);
    await_waiters(key_a, 2);
    await_waiters(key_b, 1);
    EXPECT_EQ(table.wake(key_a, 1).value(), 1u);
    await_waiters(key_a, 1);
    EXPECT_EQ(table.count_waiters(key_b), 1u);
    EXPECT_EQ(table.wake(key_a, 10).value(), 1u);
    EXPECT_EQ(table.wake(key_b, 10).value(), 1u);
    a1.join();
    a2.join();
    b.join();
    EXPECT_EQ(woken, 3u);
}

TEST_F(futex_test, bits_choose_the_waiter) {
    std::thread reader = start_waiter(key_a, 1);
    std::thread writer = start_waiter(key_a, 2);
    await_waiters(key_a, 2);
    EXPECT_EQ(table.wake(key_a, 10, 4).value(), 0u);
    EXPECT_EQ(table.wake(key_a, 10, 2).value(), 1u);
    writer.join();
    EXPECT_EQ(table.count_waiters(key_a), 1u);
    EXPECT_EQ(table.wake(key_a, 10, 3).value(), 1u);
    reader.join();
}

TEST_F(futex_test, the_most_urgent_is_woken_first_and_equals_in_order) {
    const i32 priorities[] = {1, 0, 3, 2, 0, 3};
    const usize order[] = {2, 5, 3, 0, 1, 4};
    std::vector<std::unique_ptr<futex_waiter>> waiters;
    for (const i32 priority : priorities) {
        waiters.push_back(std::make_unique<futex_waiter>(key_a));
        waiters.back()->priority = priority;
        ASSERT_TRUE(table.enqueue(*waiters.back(), yes).ok());
    }
    EXPECT_EQ(table.requeue(key_a, key_b, 0, 6, yes).value(), 6u);
    for (const usize next : order) {
        EXPECT_EQ(table.wake(key_b, 1).value(), 1u);
        EXPECT_TRUE(table.dequeue(*waiters[next]));
    }
}

TEST_F(futex_test, who_wants_a_pi_lock_next_is_not_woken_plainly) {
    futex_waiter waiter(key_a);
    waiter.wants_requeue = true;
    waiter.requeue_target = key_b;
    ASSERT_TRUE(table.enqueue(waiter, yes).ok());
    EXPECT_EQ(table.wake(key_a, 1).error(), err::inval);
    EXPECT_EQ(table.requeue(key_a, key_b, 1, 1, yes).error(), err::inval);
    EXPECT_EQ(table.wake_for_requeue(key_a, key_b, 1, yes).value(), 1u);
    EXPECT_TRUE(table.dequeue(waiter));
}

TEST_F(futex_test, requeued_waiters_wake_by_their_new_key) {
    std::vector<std::thread> waiters;
    for (int i = 0; i < 4; ++i) {
        waiters.push_back(start_waiter(key_a));
    }
    await_waiters(key_a, 4);
    result<u32> done = table.requeue(key_a, key_b, 1, 2, yes);
    ASSERT_TRUE(done.ok());
    EXPECT_EQ(done.value(), 3u);
    EXPECT_EQ(table.count_waiters(key_a), 1u);
    EXPECT_EQ(table.count_waiters(key_b), 2u);
    EXPECT_EQ(table.requeue(key_a, key_b, 1, 2, []() -> result<bool> { return false; }).error(),
              err::again);
    EXPECT_EQ(table.wake(key_a, 10).value(), 1u);
    EXPECT_EQ(table.wake(key_b, 10).value(), 2u);
    for (std::thread& each : waiters) {
        each.join();
    }
    EXPECT_EQ(woken, 4u);
}

TEST_F(futex_test, a_deadline_ends_the_wait) {
    futex_waiter waiter(key_a);
    ASSERT_TRUE(table.enqueue(waiter, yes).ok());
    EXPECT_EQ(table.sleep(waiter, now() + 2 * ns_per_ms).error(), err::timedout);
    EXPECT_EQ(table.count_waiters(key_a), 0u);
}

TEST_F(futex_test, a_wake_before_the_sleep_is_not_lost) {
    futex_waiter waiter(key_a);
    ASSERT_TRUE(table.enqueue(waiter, yes).ok());
    EXPECT_EQ(table.wake(key_a, 1).value(), 1u);
    EXPECT_TRUE(table.sleep(waiter, now()).ok());
}

TEST_F(futex_test, a_signal_ends_the_wait) {
    host::interrupt(current_thread());
    futex_waiter waiter(key_a);
    ASSERT_TRUE(table.enqueue(waiter, yes).ok());
    EXPECT_EQ(table.sleep(waiter, never).error(), err::intr);
    host::clear_interrupt();
    EXPECT_EQ(table.count_waiters(key_a), 0u);
}

TEST_F(futex_test, requeue_to_a_lock_wants_matching_waiters) {
    std::thread waiting([this] {
        futex_waiter waiter(key_a);
        waiter.requeue_target = key_b;
        waiter.wants_requeue = true;
        ASSERT_TRUE(table.enqueue(waiter, yes).ok());
        ASSERT_TRUE(table.sleep(waiter, never).ok());
    });
    await_waiters(key_a, 1);
    EXPECT_EQ(table.wake_for_requeue(key_a, key_a, 1, yes).error(), err::inval);
    EXPECT_EQ(table.wake_for_requeue(key_a, key_b, 1, yes).value(), 1u);
    waiting.join();
}

// Waiters come and go by wake, requeue and time-out at once; every wake-up that was counted must have
// reached somebody.
TEST_F(futex_test, no_wake_up_is_lost_under_load) {
    constexpr int threads = 4;
    constexpr int rounds = 200;
    std::atomic<u32> received{0};
    std::atomic<int> running{threads};
    std::vector<std::thread> waiters;
    for (int t = 0; t < threads; ++t) {
        waiters.emplace_back([&, t] {
            for (int i = 0; i < rounds; ++i) {
                futex_waiter waiter(t % 2 == 0 ? key_a : key_b);
                ASSERT_TRUE(table.enqueue(waiter, yes).ok());
                const u64 patience = (i % 3 == 0 ? 1 : 200) * ns_per_us;
                if (table.sleep(waiter, now() + patience).ok()) {
                    received.fetch_add(1);
                }
            }
            running.fetch_sub(1);
        });
    }
    u32 sent = 0;
    while (running != 0) {
        sent += table.wake(key_a, 1).value();
        static_cast<void>(table.requeue(key_a, key_b, 0, 1, yes));
        sent += table.wake(key_b, 2).value();
    }
    for (std::thread& each : waiters) {
        each.join();
    }
    EXPECT_EQ(received, sent);
    EXPECT_GT(sent, 0u);
}

}  // namespace
}  // namespace kiln

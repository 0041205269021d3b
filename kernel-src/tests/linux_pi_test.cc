// Locks that name their owner: who is next, with inherited priorities, and circles of waiters.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "linux/pi_queue.hh"

namespace kiln {
namespace {

futex_key lock_number(u64 number) {
    return {nullptr, 0x1000 + number * 4};
}

class pi_test : public testing::Test {
protected:
    ~pi_test() override {
        for (auto& each : waiters) {
            if (each->link.linked()) {
                queue.remove(*each);
            }
        }
    }
    pi_waiter& wait(i32 tid, u64 lock, i32 owner, i32 priority = 0) {
        waiters.push_back(std::make_unique<pi_waiter>(lock_number(lock), tid, priority));
        queue.add(*waiters.back(), owner);
        return *waiters.back();
    }

    std::vector<std::unique_ptr<pi_waiter>> waiters;
    pi_queue queue;
};

TEST_F(pi_test, nobody_waits) {
    EXPECT_EQ(queue.next(lock_number(1)), nullptr);
    EXPECT_EQ(queue.owner_of(lock_number(1)), 0);
    EXPECT_EQ(queue.waiter_on(7), nullptr);
    EXPECT_FALSE(queue.closes_circle(1, 2));
}

TEST_F(pi_test, equals_in_their_order_and_only_for_their_lock) {
    pi_waiter& first = wait(10, 1, 5);
    wait(11, 2, 5);
    wait(12, 1, 5);
    EXPECT_EQ(queue.next(lock_number(1)), &first);
    queue.remove(first);
    EXPECT_EQ(queue.next(lock_number(1))->waiting, 12);
    EXPECT_EQ(queue.next(lock_number(2))->waiting, 11);
}

TEST_F(pi_test, the_highest_priority_first) {
    wait(10, 1, 5);
    wait(11, 1, 5, 20);
    wait(12, 1, 5, 30);
    wait(13, 1, 5, 30);
    EXPECT_EQ(queue.next(lock_number(1))->waiting, 12);
}

// What each thread was told to inherit when something about `owner` changed.
std::map<i32, i32> told_by_spreading(pi_queue& queue, i32 owner) {
    std::map<i32, i32> told;
    queue.spread(owner, [&told](i32 thread, i32 inherited) { told[thread] = inherited; });
    return told;
}

using told = std::map<i32, i32>;

// 10 has lock 2, for which 20 waits, who has lock 3, for which 21 waits urgently.
TEST_F(pi_test, priority_is_inherited_over_locks) {
    pi_waiter& plain = wait(9, 1, 5, 40);
    pi_waiter& heir = wait(10, 1, 5);
    wait(20, 2, 10);
    EXPECT_EQ(queue.next(lock_number(1)), &plain);
    pi_waiter& urgent = wait(21, 3, 20, 50);
    EXPECT_EQ(told_by_spreading(queue, 20), (told{{20, 50}, {10, 50}, {5, 50}}));
    EXPECT_EQ(heir.urgency, 50);
    EXPECT_EQ(queue.next(lock_number(1)), &heir);
    queue.remove(urgent);
    EXPECT_EQ(told_by_spreading(queue, 20), (told{{20, 0}, {10, 0}, {5, 40}}));
    EXPECT_EQ(queue.next(lock_number(1)), &plain);
}

TEST_F(pi_test, nobody_is_told_beyond_one_for_whom_nothing_changes) {
    wait(10, 1, 5, 60);
    wait(11, 2, 10, 50);
    EXPECT_EQ(told_by_spreading(queue, 10), (told{{10, 50}}));
    EXPECT_EQ(told_by_spreading(queue, 0), told{});
    EXPECT_EQ(queue.inherited_by(5), 60);
    EXPECT_EQ(queue.inherited_by(6), 0);
}

TEST_F(pi_test, one_who_comes_brings_what_it_has_inherited) {
    wait(11, 2, 10, 50);
    EXPECT_EQ(wait(10, 1, 5, 3).urgency, 50);
    EXPECT_EQ(queue.inherited_by(5), 50);
}

TEST_F(pi_test, a_waiter_may_become_more_or_less_urgent) {
    pi_waiter& first = wait(10, 1, 5, 20);
    pi_waiter& second = wait(11, 1, 5, 10);
    EXPECT_EQ(queue.set_priority(11, 30), 5);
    EXPECT_EQ(queue.next(lock_number(1)), &second);
    EXPECT_EQ(told_by_spreading(queue, 5), (told{{5, 30}}));
    EXPECT_EQ(queue.set_priority(11, 0), 5);
    EXPECT_EQ(queue.next(lock_number(1)), &first);
    EXPECT_EQ(queue.set_priority(77, 30), 0);
}

TEST_F(pi_test, a_new_owner_is_waited_for_by_the_rest) {
    pi_waiter& heir = wait(10, 1, 5);
    wait(11, 1, 5, 7);
    wait(12, 2, 5);
    queue.remove(heir);
    queue.set_owner(heir.key, heir.waiting);
    EXPECT_EQ(queue.owner_of(lock_number(1)), 10);
    EXPECT_EQ(queue.owner_of(lock_number(2)), 5);
    EXPECT_EQ(queue.waiter_on(10)->waiting, 11);
    EXPECT_EQ(queue.waiter_on(5)->waiting, 12);
}

TEST_F(pi_test, circles_of_any_length) {
    wait(1, 12, 2);  // 1 waits for 2, 2 for 3, 3 for 4
    wait(2, 13, 3);
    wait(3, 14, 4);
    EXPECT_TRUE(queue.closes_circle(4, 1));
    EXPECT_TRUE(queue.closes_circle(4, 3));
    EXPECT_TRUE(queue.closes_circle(4, 4));
    EXPECT_FALSE(queue.closes_circle(5, 1));
    queue.remove(*waiters[1]);
    EXPECT_FALSE(queue.closes_circle(4, 1));
    EXPECT_TRUE(queue.closes_circle(4, 3));
}

TEST_F(pi_test, a_chain_without_end_counts_as_a_circle) {
    wait(1, 12, 2);
    wait(2, 11, 1);
    EXPECT_TRUE(queue.closes_circle(9, 1));
    EXPECT_EQ(told_by_spreading(queue, 1), (told{{1, 0}}));
    EXPECT_EQ(queue.set_priority(2, 9), 1);
    EXPECT_EQ(told_by_spreading(queue, 1), (told{{1, 9}, {2, 9}}));
}

}  // namespace
}  // namespace kiln

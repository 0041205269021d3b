// core/: the order in which threads get a CPU, fairness over time, and where the woken go.
#include <gtest/gtest.h>

#include <vector>

#include "core/clock.hh"
#include "core/ready_queue.hh"

using namespace kiln;

namespace {

constexpr u64 slice = 3 * ns_per_ms;

struct worker : schedulable {
    explicit worker(u64 time = 0) { virtual_time = time; }
    u64 ran = 0;
};

// Runs whoever is first for a slice, `rounds` times.
void run(ready_queue& queue, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        auto* first = static_cast<worker*>(queue.take_first());
        ASSERT_NE(first, nullptr);
        first->virtual_time = first->virtual_time_after(slice);
        first->ran += slice;
        queue.insert(*first);
    }
}

void empty(ready_queue& queue) {
    while (queue.take_first() != nullptr) {
    }
}

TEST(ready_queue, who_ran_least_goes_first_and_equals_in_order) {
    ready_queue queue;
    worker late(30), early(10), middle(20), middle_too(20);
    for (worker* each : {&late, &middle, &early, &middle_too}) {
        queue.insert(*each);
    }
    EXPECT_EQ(queue.count(), 4u);
    EXPECT_EQ(queue.take_first(), &early);
    EXPECT_EQ(queue.take_first(), &middle);
    EXPECT_EQ(queue.take_first(), &middle_too);
    EXPECT_EQ(queue.take_first(), &late);
    EXPECT_EQ(queue.take_first(), nullptr);
    EXPECT_EQ(queue.count(), 0u);
}

TEST(ready_queue, virtual_time_may_wrap) {
    ready_queue queue;
    worker before(~u64{0} - 5), after(5);
    queue.insert(after);
    queue.insert(before);
    EXPECT_EQ(queue.take_first(), &before);
    EXPECT_EQ(queue.take_first(), &after);
}

TEST(ready_queue, everybody_runs_equally_long) {
    ready_queue queue;
    worker workers[7];
    for (worker& each : workers) {
        queue.insert(each);
    }
    run(queue, 7 * 100);
    for (worker& each : workers) {
        EXPECT_EQ(each.ran, 100 * slice);
    }
    empty(queue);
}

TEST(ready_queue, one_who_slept_long_goes_first_but_shuts_nobody_out) {
    ready_queue queue;
    worker busy, sleeper;
    queue.insert(busy);
    run(queue, 1000);
    queue.insert_woken(sleeper);
    EXPECT_EQ(queue.take_first(), &sleeper);
    queue.insert(sleeper);
    sleeper.ran = busy.ran = 0;
    run(queue, 100);
    EXPECT_LE(sleeper.ran, 51 * slice);
    EXPECT_GE(busy.ran, 49 * slice);
    empty(queue);
}

TEST(ready_queue, one_who_ran_much_does_not_gain_by_a_nap) {
    ready_queue queue;
    worker greedy(1000 * slice), modest(10 * slice);
    queue.insert(modest);
    queue.insert_woken(greedy);
    EXPECT_EQ(queue.take_first(), &modest);
    EXPECT_EQ(greedy.virtual_time, 1000 * slice);
    empty(queue);
}

TEST(ready_queue, who_yields_goes_behind_all) {
    ready_queue queue;
    worker a(10), b(500), polite(20);
    queue.insert(a);
    queue.insert(b);
    queue.move_behind_all(polite);
    queue.insert(polite);
    EXPECT_EQ(queue.take_first(), &a);
    EXPECT_EQ(queue.take_first(), &b);
    EXPECT_EQ(queue.take_first(), &polite);
    queue.move_behind_all(polite);
    EXPECT_EQ(polite.virtual_time, 500u);
}

TEST(ready_queue, a_thief_gets_the_last_that_it_may_run) {
    ready_queue queue;
    worker first(1), second(2), third(3);
    third.allowed = 0b01;
    for (worker* each : {&first, &second, &third}) {
        queue.insert(*each);
    }
    EXPECT_EQ(queue.last_allowed_on(0), &third);
    EXPECT_EQ(queue.last_allowed_on(1), &second);
    first.allowed = second.allowed = 0b01;
    EXPECT_EQ(queue.last_allowed_on(1), nullptr);
    empty(queue);
}

TEST(ready_queue, one_who_ran_long_alone_keeps_his_share_beside_a_newcomer) {
    ready_queue queue;
    worker alone, newcomer;
    queue.insert(alone);
    ASSERT_EQ(queue.take_first(), &alone);
    alone.virtual_time = alone.virtual_time_after(10 * ns_per_s);
    queue.advance(alone.virtual_time);
    queue.insert_woken(newcomer);
    queue.insert(alone);
    run(queue, 100);
    EXPECT_GE(alone.ran, 49 * slice);
    EXPECT_LE(newcomer.ran, 51 * slice);
    empty(queue);
}

TEST(ready_queue, the_minimum_stays_with_the_last_who_waits) {
    ready_queue queue;
    worker waiting(100 * ns_per_ms), woken;
    queue.insert(waiting);
    queue.advance(500 * ns_per_ms);
    queue.insert_woken(woken);
    EXPECT_EQ(woken.virtual_time, 99 * ns_per_ms);
    empty(queue);
}

// How much two who never sleep run, of whom the second has this claim; the first is ordinary.
double share_beside_ordinary(const cpu_claim& claim) {
    ready_queue queue;
    worker ordinary, other;
    other.obey(claim);
    queue.insert(ordinary);
    queue.insert(other);
    run(queue, 100'000);
    empty(queue);
    return static_cast<double>(other.ran) / static_cast<double>(ordinary.ran);
}

TEST(weights, a_step_of_the_nice_value_is_a_quarter) {
    EXPECT_NEAR(share_beside_ordinary({.nice = 0}), 1.0, 0.001);
    EXPECT_NEAR(share_beside_ordinary({.nice = 1}), 1 / 1.25, 0.001);
    EXPECT_NEAR(share_beside_ordinary({.nice = -1}), 1.25, 0.001);
    EXPECT_NEAR(share_beside_ordinary({.nice = 5}), 335.0 / 1024, 0.001);
    EXPECT_NEAR(share_beside_ordinary({.nice = 19}), 15.0 / 1024, 0.001);
    EXPECT_NEAR(share_beside_ordinary({.nice = -20}), 88761.0 / 1024, 1.0);
}

TEST(weights, batch_shares_like_others_and_idle_least_of_all) {
    EXPECT_NEAR(share_beside_ordinary({.kind = sharing::batch}), 1.0, 0.001);
    EXPECT_NEAR(share_beside_ordinary({.kind = sharing::idle}), 3.0 / 1024, 0.001);
    EXPECT_NEAR(share_beside_ordinary({.kind = sharing::idle, .nice = -20}), 3.0 / 1024, 0.001);
}

TEST(weights, long_runs_do_not_overflow) {
    worker slow;
    slow.obey({.kind = sharing::idle});
    const u64 day = 86'400 * ns_per_s;
    EXPECT_NEAR(static_cast<double>(slow.virtual_time_after(3 * day)), 1024.0 * day, 1e9);
}

bool takes_over_at(u64 woken_time, u64 running_time, sharing woken_kind = sharing::normal,
                   sharing running_kind = sharing::normal) {
    worker woken(woken_time), running;
    woken.obey({.kind = woken_kind});
    running.obey({.kind = running_kind});
    return takes_over(woken, running, running_time);
}

TEST(takes_over, only_when_well_behind) {
    EXPECT_TRUE(takes_over_at(0, 2 * ns_per_ms));
    EXPECT_FALSE(takes_over_at(ns_per_ms, ns_per_ms));
    EXPECT_FALSE(takes_over_at(2 * ns_per_ms, ns_per_ms));
    EXPECT_FALSE(takes_over_at(ns_per_ms - 1000, ns_per_ms));
}

TEST(takes_over, batch_and_idle_wait_and_everybody_goes_before_idle) {
    EXPECT_FALSE(takes_over_at(0, 2 * ns_per_ms, sharing::batch));
    EXPECT_FALSE(takes_over_at(0, 2 * ns_per_ms, sharing::idle));
    EXPECT_TRUE(takes_over_at(2 * ns_per_ms, ns_per_ms, sharing::normal, sharing::idle));
    EXPECT_TRUE(takes_over_at(2 * ns_per_ms, ns_per_ms, sharing::batch, sharing::idle));
    EXPECT_FALSE(takes_over_at(2 * ns_per_ms, ns_per_ms, sharing::idle, sharing::idle));
}

u32 choose_with_idle(u64 idle_cpus, u64 allowed, u32 last, u32 cpus) {
    static u64 idle;
    idle = idle_cpus;
    worker woken;
    woken.allowed = allowed;
    return choose_cpu(woken, last, cpus, [](u32 cpu) { return (idle >> cpu & 1) != 0; });
}

TEST(choose_cpu, goes_back_when_it_can_else_to_an_idle_one) {
    EXPECT_EQ(choose_with_idle(0b1111, 0b1111, 2, 4), 2u);
    EXPECT_EQ(choose_with_idle(0b1010, 0b1111, 2, 4), 1u);
    EXPECT_EQ(choose_with_idle(0b0000, 0b1111, 2, 4), 2u);
}

TEST(choose_cpu, keeps_to_what_is_allowed) {
    EXPECT_EQ(choose_with_idle(0b0111, 0b1000, 0, 4), 3u);
    EXPECT_EQ(choose_with_idle(0b0001, 0b1100, 0, 4), 2u);
    EXPECT_EQ(choose_with_idle(0b1001, 0b1100, 2, 4), 3u);
    EXPECT_EQ(choose_with_idle(0b1110, 0b0001, 0, 4), 0u);
}

TEST(choose_cpu, does_not_depend_on_cpus_that_are_not_there) {
    EXPECT_EQ(choose_with_idle(0b1111'0000, ~u64{0}, 9, 4), 0u);
    EXPECT_EQ(choose_with_idle(0, u64{1} << 9, 1, 4), 1u);
}

}  // namespace

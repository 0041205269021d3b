// core/: the order in which threads get a CPU, fairness over time, and where the woken go.
#include <gtest/gtest.h>

#include <vector>

#include "core/clock.hh"
#include "core/ready_queue.hh"

using namespace kiln;

namespace {

constexpr u64 slice = ready_queue::slice;

struct worker : schedulable {
    explicit worker(u64 time = 0) { virtual_time = time; }
    explicit worker(const cpu_claim& claim) { obey(claim); }
    u64 ran = 0;
};

// Runs whoever is first for a slice, `rounds` times.
void run(ready_queue& queue, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        auto* first = static_cast<worker*>(queue.take_first(0));
        ASSERT_NE(first, nullptr);
        first->virtual_time = first->virtual_time_after(slice);
        first->ran += slice;
        queue.insert(*first);
    }
}

void empty(ready_queue& queue) {
    while (queue.take_first(0) != nullptr) {
    }
}

TEST(ready_queue, who_ran_least_goes_first_and_equals_in_order) {
    ready_queue queue;
    worker late(30), early(10), middle(20), middle_too(20);
    for (worker* each : {&late, &middle, &early, &middle_too}) {
        queue.insert(*each);
    }
    EXPECT_EQ(queue.count(), 4u);
    EXPECT_EQ(queue.take_first(0), &early);
    EXPECT_EQ(queue.take_first(0), &middle);
    EXPECT_EQ(queue.take_first(0), &middle_too);
    EXPECT_EQ(queue.take_first(0), &late);
    EXPECT_EQ(queue.take_first(0), nullptr);
    EXPECT_EQ(queue.count(), 0u);
}

TEST(ready_queue, virtual_time_may_wrap) {
    ready_queue queue;
    worker before(~u64{0} - 5), after(5);
    queue.insert(after);
    queue.insert(before);
    EXPECT_EQ(queue.take_first(0), &before);
    EXPECT_EQ(queue.take_first(0), &after);
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
    queue.insert_woken(sleeper, nullptr);
    EXPECT_EQ(queue.take_first(0), &sleeper);
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
    queue.insert_woken(greedy, nullptr);
    EXPECT_EQ(queue.take_first(0), &modest);
    EXPECT_EQ(greedy.virtual_time, 1000 * slice);
    empty(queue);
}

TEST(ready_queue, who_yields_goes_behind_all) {
    ready_queue queue;
    worker a(10), b(500), polite(20);
    queue.insert(a);
    queue.insert(b);
    queue.give_way(polite);
    queue.insert(polite);
    EXPECT_EQ(queue.take_first(0), &a);
    EXPECT_EQ(queue.take_first(0), &b);
    EXPECT_EQ(queue.take_first(0), &polite);
    queue.give_way(polite);
    EXPECT_EQ(polite.virtual_time, 500u);
}

TEST(ready_queue, a_thief_gets_the_last_that_it_may_run) {
    ready_queue queue;
    worker first(1), second(2), third(3);
    third.allowed = 0b01;
    for (worker* each : {&first, &second, &third}) {
        queue.insert(*each);
    }
    EXPECT_EQ(queue.first_to_leave_for(0), &third);
    EXPECT_EQ(queue.first_to_leave_for(1), &second);
    first.allowed = second.allowed = 0b01;
    EXPECT_EQ(queue.first_to_leave_for(1), nullptr);
    empty(queue);
}

TEST(ready_queue, one_who_ran_long_alone_keeps_his_share_beside_a_newcomer) {
    ready_queue queue;
    worker alone, newcomer;
    queue.insert(alone);
    ASSERT_EQ(queue.take_first(0), &alone);
    const occupant running{alone, 0, 10 * ns_per_s};
    queue.insert_woken(newcomer, &running);
    queue.charge(alone, 0, 10 * ns_per_s);
    queue.insert(alone);
    run(queue, 100);
    EXPECT_GE(alone.ran, 49 * slice);
    EXPECT_LE(newcomer.ran, 51 * slice);
    empty(queue);
}

TEST(ready_queue, the_minimum_stays_with_the_last_who_waits) {
    ready_queue queue;
    worker waiting(100 * ns_per_ms), running(500 * ns_per_ms), woken;
    const occupant seen{running, 0, 0};
    queue.insert(waiting);
    queue.insert_woken(woken, &seen);
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
    worker woken(woken_time), running(running_time);
    woken.obey({.kind = woken_kind});
    running.obey({.kind = running_kind});
    return ready_queue().takes_over(woken, {running, 0, 0});
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

worker realtime(u32 priority, bool takes_turns = false) {
    return worker(cpu_claim{.priority = priority, .takes_turns = takes_turns});
}

TEST(realtime, by_priority_then_in_order_and_before_ordinary_ones) {
    ready_queue queue;
    worker ordinary, low = realtime(1), high = realtime(99), first = realtime(50),
                     second = realtime(50);
    for (worker* each : {&ordinary, &low, &first, &second, &high}) {
        queue.insert_woken(*each, nullptr);
    }
    EXPECT_EQ(queue.count(), 5u);
    EXPECT_EQ(queue.count_realtime(), 4u);
    for (worker* each : {&high, &first, &second, &low, &ordinary}) {
        EXPECT_EQ(queue.take_first(0), each);
    }
    EXPECT_EQ(queue.count_realtime(), 0u);
}

TEST(realtime, who_is_preempted_stays_before_its_equals_and_who_yields_goes_behind_them) {
    ready_queue queue;
    worker running = realtime(5), waiting = realtime(5);
    queue.insert_woken(waiting, nullptr);
    queue.insert(running);
    EXPECT_EQ(queue.take_first(0), &running);
    queue.give_way(running);
    queue.insert(running);
    EXPECT_EQ(queue.take_first(0), &waiting);
    // Once only.
    queue.insert(waiting);
    EXPECT_EQ(queue.take_first(0), &waiting);
    empty(queue);
}

TEST(realtime, only_who_takes_turns_goes_behind_when_its_turn_is_over) {
    for (const bool takes_turns : {true, false}) {
        ready_queue queue;
        worker running = realtime(5, takes_turns), waiting = realtime(5, takes_turns);
        queue.insert_woken(waiting, nullptr);
        queue.charge(running, 0, ready_queue::turn - 1);
        EXPECT_EQ(queue.slice_end({running, 10, 10}), takes_turns ? 11 : never);
        queue.insert(running);
        EXPECT_EQ(queue.take_first(0), &running);
        queue.charge(running, 10, 11);
        queue.insert(running);
        EXPECT_EQ(queue.take_first(0), takes_turns ? &waiting : &running);
        EXPECT_EQ(running.turn_used, takes_turns ? 0 : running.turn_used);
        empty(queue);
    }
}

TEST(realtime, a_turn_alone_is_not_held_against_it) {
    ready_queue queue;
    worker running = realtime(5, true), late = realtime(5, true);
    queue.charge(running, 0, 10 * ready_queue::turn + 7);
    queue.insert_woken(late, nullptr);
    EXPECT_EQ(queue.slice_end({running, 0, 0}), ready_queue::turn - 7);
    empty(queue);
}

TEST(realtime, the_more_urgent_takes_over_and_equals_wait) {
    ready_queue queue;
    const worker low = realtime(5), equal = realtime(5), high = realtime(6), ordinary;
    EXPECT_TRUE(queue.takes_over(high, {low, 0, 0}));
    EXPECT_FALSE(queue.takes_over(equal, {low, 0, 0}));
    EXPECT_FALSE(queue.takes_over(low, {high, 0, 0}));
    EXPECT_TRUE(queue.takes_over(low, {ordinary, 0, 0}));
    EXPECT_FALSE(queue.takes_over(ordinary, {low, 0, 0}));
}

TEST(realtime, a_thread_of_the_kernel_goes_first_until_it_lets_others_run) {
    ready_queue queue;
    worker urgent = realtime(99), ordinary, kernel(ns_per_s);
    kernel.of_kernel = true;
    queue.insert_woken(urgent, nullptr);
    queue.insert_woken(ordinary, nullptr);
    queue.insert_woken(kernel, nullptr);
    EXPECT_TRUE(queue.takes_over(kernel, {urgent, 0, 0}));
    EXPECT_EQ(queue.take_first(0), &kernel);
    queue.insert(kernel);
    EXPECT_EQ(queue.take_first(0), &urgent);
    // Without a real-time thread it is one of the ordinary ones.
    EXPECT_EQ(queue.take_first(0), &ordinary);
    empty(queue);
}

TEST(realtime, one_that_becomes_ordinary_starts_beside_the_others) {
    ready_queue queue;
    worker busy, changed = realtime(5);
    queue.insert(busy);
    run(queue, 1000);
    changed.virtual_time = 1'000'000 * ns_per_s;
    changed.obey({});
    queue.settle(changed);
    queue.insert(changed);
    run(queue, 100);
    EXPECT_GE(changed.ran, 49 * slice);
    EXPECT_LE(changed.ran, 52 * slice);
    empty(queue);
}

TEST(realtime, an_idle_cpu_takes_the_most_urgent_that_it_may) {
    ready_queue queue;
    worker high = realtime(9), low = realtime(3), ordinary;
    high.allowed = 0b01;
    for (worker* each : {&ordinary, &low, &high}) {
        queue.insert_woken(*each, nullptr);
    }
    EXPECT_EQ(queue.first_to_leave_for(0), &high);
    EXPECT_EQ(queue.first_to_leave_for(1), &low);
    low.allowed = 0b01;
    EXPECT_EQ(queue.first_realtime_for(1), nullptr);
    EXPECT_EQ(queue.first_to_leave_for(1), &ordinary);
    empty(queue);
}

// Runs one CPU, whose threads never sleep, until `end`; who runs is decided anew when its slice ends.
void spin(ready_queue& queue, u64 begin, u64 end) {
    for (u64 time = begin; time < end;) {
        auto* first = static_cast<worker*>(queue.take_first(time));
        const u64 until = std::max(time + 1, std::min(end, queue.slice_end({*first, time, time})));
        queue.charge(*first, time, until);
        first->ran += until - time;
        queue.insert(*first);
        time = until;
    }
}

TEST(throttling, ordinary_ones_get_a_twentieth_beside_one_that_never_sleeps) {
    ready_queue queue;
    worker spinner = realtime(99), a, b;
    for (worker* each : {&spinner, &a, &b}) {
        queue.insert_woken(*each, nullptr);
    }
    spin(queue, 0, 10 * ns_per_s);
    EXPECT_EQ(spinner.ran, 10 * 950 * ns_per_ms);
    EXPECT_NEAR(static_cast<double>(a.ran), 250.0 * ns_per_ms, 3.0 * slice);
    EXPECT_NEAR(static_cast<double>(b.ran), 250.0 * ns_per_ms, 3.0 * slice);
    empty(queue);
}

TEST(throttling, nothing_is_kept_for_ordinary_ones_that_are_not_there) {
    ready_queue queue;
    worker spinner = realtime(1), other = realtime(1, true);
    queue.insert_woken(spinner, nullptr);
    queue.insert_woken(other, nullptr);
    spin(queue, 0, 10 * ns_per_s);
    EXPECT_EQ(spinner.ran, 10 * ns_per_s);
    empty(queue);
}

TEST(throttling, one_that_wakes_after_the_part_is_used_up_takes_over_until_the_period_ends) {
    ready_queue queue;
    const worker spinner = realtime(1), urgent = realtime(2), ordinary;
    const u64 late = 960 * ns_per_ms;
    EXPECT_FALSE(queue.takes_over(ordinary, {spinner, 0, 940 * ns_per_ms}));
    EXPECT_TRUE(queue.takes_over(ordinary, {spinner, 0, late}));
    // Of the period before nothing counts.
    EXPECT_FALSE(queue.takes_over(ordinary, {spinner, 0, ns_per_s + 1}));
    worker charged = realtime(1), waiting = realtime(1);
    queue.charge(charged, 0, late);
    EXPECT_FALSE(queue.takes_over(urgent, {ordinary, late, late}));
    EXPECT_TRUE(queue.takes_over(urgent, {ordinary, late, ns_per_s}));
    queue.insert_woken(waiting, nullptr);
    EXPECT_EQ(queue.slice_end({ordinary, 0, 999 * ns_per_ms}), ns_per_s);
    empty(queue);
}

TEST(throttling, periods_pass_while_nobody_looks) {
    realtime_share share;
    share.charge(0, 100 * ns_per_s + 949 * ns_per_ms);
    EXPECT_FALSE(share.used_up(100 * ns_per_s + 949 * ns_per_ms));
    EXPECT_EQ(share.left(), ns_per_ms);
    share.charge(100 * ns_per_s + 949 * ns_per_ms, 100 * ns_per_s + 951 * ns_per_ms);
    EXPECT_TRUE(share.used_up(100 * ns_per_s + 951 * ns_per_ms));
    EXPECT_FALSE(share.used_up(101 * ns_per_s));
    EXPECT_EQ(share.left(), 0u);
}

u32 choose_with_loads(const worker& woken, u32 last, std::vector<u32> loads) {
    static std::vector<u32> current;
    current = std::move(loads);
    return choose_cpu(woken, last, static_cast<u32>(current.size()),
                      [](u32 cpu) { return current[cpu]; });
}

TEST(choose_cpu, a_real_time_thread_goes_where_the_least_urgent_runs) {
    const worker urgent = realtime(10);
    EXPECT_EQ(choose_with_loads(urgent, 0, {1, 1}), 0u);
    EXPECT_EQ(choose_with_loads(urgent, 0, {12, 1}), 1u);
    EXPECT_EQ(choose_with_loads(urgent, 0, {21, 31}), 0u);
    EXPECT_EQ(choose_with_loads(urgent, 0, {2, 1, 0}), 2u);
}

TEST(choose_cpu, an_ordinary_thread_avoids_real_time_ones) {
    EXPECT_EQ(choose_with_loads(worker(), 1, {1, 2}), 0u);
    EXPECT_EQ(choose_with_loads(worker(), 1, {1, 1}), 1u);
}

u32 choose_with_idle(u64 idle_cpus, u64 allowed, u32 last, u32 cpus) {
    static u64 idle;
    idle = idle_cpus;
    worker woken;
    woken.allowed = allowed;
    return choose_cpu(woken, last, cpus, [](u32 cpu) { return (idle >> cpu & 1) != 0 ? 0u : 1u; });
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

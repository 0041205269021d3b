// Who waits for a CPU, and in which order: the scheduler's rules, with nothing of the machine in them.
//
// Real-time threads first, by priority and, among equals, in the order in which they came. Behind them
// the ordinary ones by virtual time: who ran least for its weight goes first. Each CPU's queue has a
// scale of its own, whose `minimum` only grows: nobody starts far below it, so that one who slept long
// cannot shut out the others, and one who comes from another CPU (with time 0) starts beside those who
// are here. Two go before real-time threads all the same: ordinary ones when those have used up their
// part (core/realtime_share.hh), and threads of the kernel's own that were woken and have not let
// others run since, because they do what on Linux interrupts do.
// Not locked: run_queue::lock of the CPU guards, but for the counts, which anybody may read as hints.
#pragma once

#include <atomic>

#include "core/cpu_claim.hh"
#include "core/realtime_share.hh"
#include "lib/scale.hh"
#include "lib/tree.hh"

namespace kiln {

// What the order needs to know of a thread. `allowed` aside, the lock of its CPU's queue guards.
struct schedulable {
    tree_node ready_node;
    // Ordinary: ns that it has run, weighted, on the scale of its CPU's queue. Real-time: its place
    // among its equals while it waits.
    u64 virtual_time = 0;
    u64 pace = normal_pace;
    u64 turn_used = 0;  // ns of its turn, when it takes turns
    u32 priority = 0;
    bool takes_turns = false;
    sharing kind = sharing::normal;
    bool gives_way = false;  // goes behind its equals when it is put back
    bool of_kernel = false;
    bool hurries = false;  // goes before real-time threads while it waits
    std::atomic<u64> allowed{~u64{0}};  // CPUs, one bit each

    bool allowed_on(u32 cpu) const { return (allowed.load(std::memory_order_relaxed) >> cpu & 1) != 0; }
    bool is_realtime() const { return priority != 0; }
    // Whether the queue keeps count of it apart.
    bool is_special() const { return (priority | static_cast<u32>(hurries)) != 0; }
    // For one who is not in a queue.
    void obey(const cpu_claim& claim);
    // Its virtual time after it has run `ran` ns more.
    u64 virtual_time_after(u64 ran) const { return virtual_time + multiply_shift32(ran, pace); }
};

// Who has the CPU since when, seen at `time`, which is not before. Times of the clock.
struct occupant {
    const schedulable& who;
    u64 since;
    u64 time;

    u64 virtual_time() const { return who.virtual_time_after(time - since); }
};

class ready_queue : noncopyable {
public:
    // How long an ordinary thread runs while others wait, and a real-time one that takes turns while
    // equals do (RR_TIMESLICE of Linux).
    static constexpr u64 slice = 3 * ns_per_ms, turn = 100 * ns_per_ms;

    u32 count() const { return _count.load(std::memory_order_relaxed); }
    u32 count_realtime() const { return _count_realtime.load(std::memory_order_relaxed); }

    // Counts what one has used of the CPU from `since` to `time`.
    void charge(schedulable& ran, u64 since, u64 time) {
        if (ran.is_realtime()) [[unlikely]] {
            charge_realtime(ran, since, time);
        } else {
            ran.virtual_time = ran.virtual_time_after(time - since);
        }
    }
    // Puts one back who has had the CPU and wants it on.
    void insert(schedulable& ready);
    // Inserts one who slept, or comes from another CPU or under another claim, while somebody runs
    // here (null: nobody).
    void insert_woken(schedulable& woken, const occupant* running);
    void remove(schedulable& ready);
    // Takes off who goes next, and moves the minimum up to its time; null when nobody waits.
    schedulable* take_first(u64 time);
    // Whom another CPU that has nothing to do may take: the most urgent real-time thread, else the
    // last of the ordinary ones; null when there is none that may run on it.
    schedulable* first_to_leave_for(u32 cpu) const;
    // The most urgent real-time thread that may run on `cpu`, or null.
    schedulable* first_realtime_for(u32 cpu) const;
    // The next time that one who is not in the queue is put back, it goes behind all its equals.
    void give_way(schedulable& running) const;
    // One who runs here has become ordinary: gives it a place on the scale.
    void settle(schedulable& running) const;

    // Whether one who waits here takes the CPU at once from the one who runs: as the more urgent, when
    // it is far enough behind in virtual time, or the other has SCHED_IDLE.
    bool takes_over(const schedulable& woken, const occupant& running) const;
    // When it has to be decided anew who runs: a time of the clock, perhaps in the past, or `never`.
    u64 slice_end(const occupant& running) const {
        if (count() == 0) {
            return never;
        }
        const bool among_ordinary = !running.who.is_realtime() && count_realtime() == 0;
        return among_ordinary ? running.time + slice : slice_end_among_realtime(running);
    }

private:
    struct goes_before {
        bool operator()(const schedulable& a, const schedulable& b) const {
            if (a.priority != b.priority) {
                return a.priority > b.priority;
            }
            return static_cast<i64>(a.virtual_time - b.virtual_time) < 0;
        }
    };

    void add(schedulable& ready);
    void count_special(const schedulable& which, i32 by);
    void charge_realtime(schedulable& ran, u64 since, u64 time);
    u64 slice_end_among_realtime(const occupant& running) const;
    bool takes_over_among_realtime(const schedulable& woken, const occupant& running) const;
    schedulable* first_ordinary() const;
    schedulable& choose_beside(schedulable& realtime, u64 time) const;
    bool has_equal_of(const schedulable& running) const;
    void advance(const occupant& running);
    bool is_used_up(const occupant& realtime) const;
    u64 earliest_time() const;

    tree<schedulable, &schedulable::ready_node, goes_before> _ready;
    std::atomic<u32> _count{0};
    std::atomic<u32> _count_realtime{0};
    u32 _hurrying = 0;
    u64 _minimum = 0;
    u64 _first_place = 0;  // of real-time threads: the last that was given in front, and behind
    u64 _last_place = 0;
    realtime_share _share;
};

// How much a CPU would be missed: 0 when it is idle, 1 when an ordinary thread runs, one more than its
// priority when a real-time one does.
using load_function = u32 (*)(u32 cpu);

// Where a woken thread runs: on the least loaded CPU that it may use; of equals where it ran, else the
// first. `last` and the result are below `cpus`, but for `last` of one that was moved from a CPU that
// is gone.
u32 choose_cpu(const schedulable& woken, u32 last, u32 cpus, load_function load_of);

}  // namespace kiln

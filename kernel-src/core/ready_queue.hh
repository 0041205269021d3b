// Who waits for a CPU, and in which order: the scheduler's rules, with nothing of the machine in them.
//
// Ordered by virtual time: who ran least for his weight goes first. Each CPU's queue has a scale of its
// own, whose `minimum` only grows: nobody starts far below it, so that one who slept long cannot shut
// out the others, and one who comes from another CPU (with time 0) starts beside those who are here.
// Not locked: run_queue::lock of the CPU guards, but for count(), which anybody may read as a hint.
#pragma once

#include <atomic>

#include "core/cpu_claim.hh"
#include "lib/scale.hh"
#include "lib/tree.hh"

namespace kiln {

// What the order needs to know of a thread.
struct schedulable {
    tree_node ready_node;
    u64 virtual_time = 0;  // ns that it has run, weighted, on the scale of its CPU's queue
    u64 pace = normal_pace;
    sharing kind = sharing::normal;
    std::atomic<u64> allowed{~u64{0}};  // CPUs, one bit each

    void obey(const cpu_claim& claim) {
        pace = pace_of(claim);
        kind = claim.kind;
    }
    // Its virtual time after it has run `ran` ns more.
    u64 virtual_time_after(u64 ran) const { return virtual_time + multiply_shift32(ran, pace); }
    bool allowed_on(u32 cpu) const { return (allowed.load(std::memory_order_relaxed) >> cpu & 1) != 0; }
};

class ready_queue : noncopyable {
public:
    u32 count() const { return _count.load(std::memory_order_relaxed); }

    void insert(schedulable& ready);
    void remove(schedulable& ready);
    // Takes off who goes next, and moves the minimum up to its time; null when nobody waits.
    schedulable* take_first();
    // Somebody runs, whose virtual time has come to this: the minimum follows while none who waits is
    // behind.
    void advance(u64 running_virtual_time);
    // Inserts one who slept, or comes from another CPU. Before it, advance.
    void insert_woken(schedulable& woken);
    // The last in the order who may run on `cpu`; null when there is none.
    schedulable* last_allowed_on(u32 cpu) const;
    // Gives one who is not in the queue a place behind all who are.
    void move_behind_all(schedulable& running) const;

private:
    struct runs_earlier {
        bool operator()(const schedulable& a, const schedulable& b) const {
            return static_cast<i64>(a.virtual_time - b.virtual_time) < 0;
        }
    };
    tree<schedulable, &schedulable::ready_node, runs_earlier> _ready;
    std::atomic<u32> _count{0};
    u64 _minimum = 0;
};

// Whether one who is woken takes the CPU at once from the one who runs, whose virtual time has come to
// `running_virtual_time`: when it is far enough behind, or the other has SCHED_IDLE.
bool takes_over(const schedulable& woken, const schedulable& running, u64 running_virtual_time);

// Where a woken thread runs: where it ran when that CPU is idle, else on an idle one that it may use,
// else where it ran, or on the first that it may use when it may not go back. `last` and the result
// are below `cpus`, but for `last` of one that was moved from a CPU that is gone.
u32 choose_cpu(const schedulable& woken, u32 last, u32 cpus, bool (*is_idle)(u32 cpu));

}  // namespace kiln

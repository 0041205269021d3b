// What a thread may claim of a CPU among other threads, after Linux's scheduling policies (sched(7)).
//
// A real-time thread goes before every ordinary one and before those of lower priority, until it
// sleeps; among equals those that take turns are taken off after a while. Ordinary threads share a CPU
// in proportion to their weights: a nice value changes a weight by the factor 1.25 a step, SCHED_IDLE
// has less than any of them. The scheduler does not know weights but paces: how fast a thread's virtual
// time goes while it runs, the inverse of its weight.
// Pure; context: any.
#pragma once

#include "lib/types.hh"

namespace kiln {

// SCHED_OTHER; SCHED_BATCH, which never takes the CPU from another; SCHED_IDLE, from which every
// other takes it.
enum class sharing : u8 { normal, batch, idle };

inline constexpr i32 least_nice = -20, most_nice = 19;

struct cpu_claim {
    u32 priority = 0;          // real-time: 1 to 99; ordinary: 0
    bool takes_turns = false;  // SCHED_RR
    sharing kind = sharing::normal;
    i32 nice = 0;
    bool operator==(const cpu_claim&) const = default;
};

// Virtual nanoseconds a nanosecond, times 2^32.
inline constexpr u64 normal_pace = u64{1} << 32;

constexpr u64 pace_of(const cpu_claim& claim) {
    constexpr u64 normal_weight = 1024, idle_weight = 3;
    if (claim.kind == sharing::idle) {
        return normal_pace * normal_weight / idle_weight;
    }
    u64 pace = normal_pace;
    for (i32 step = 0; step < claim.nice; ++step) {
        pace = (pace * 5 + 2) / 4;
    }
    for (i32 step = 0; step > claim.nice; --step) {
        pace = (pace * 4 + 2) / 5;
    }
    return pace;
}

}  // namespace kiln

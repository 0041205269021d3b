// Waiting for a register: for what a device answers soon and without an interrupt.
#pragma once

#include "core/clock.hh"
#include "core/park.hh"
#include "core/spinlock.hh"

namespace kiln {

// Looks often at first, as most answers come at once, then lets others run in between. False when
// `condition()` does not hold after `patience` nanoseconds. Context: threads, no spin locks.
template <class Condition>
bool poll_until(Condition condition, u64 patience) {
    constexpr u32 eager_polls = 2'000;
    constexpr u64 pause = 100 * ns_per_us;
    for (u32 polls = 0; polls < eager_polls; ++polls) {
        if (condition()) {
            return true;
        }
        cpu_relax();
    }
    for (const u64 deadline = deadline_after(patience); now() < deadline;) {
        if (condition()) {
            return true;
        }
        park(now() + pause);
    }
    return condition();
}

}  // namespace kiln

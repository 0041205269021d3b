// The part of a CPU that real-time threads may use while ordinary ones wait: 950 ms of each second, as
// Linux gives them by default (sched_rt_period_us and sched_rt_runtime_us in sched(7)), so that a
// real-time thread that never sleeps leaves the machine usable.
//
// Periods are whole seconds of the clock. Times are ns and do not run backwards. Not locked: the
// owner's lock guards.
#pragma once

#include <algorithm>

#include "core/clock.hh"

namespace kiln {

class realtime_share {
public:
    static constexpr u64 period = 1000 * ns_per_ms, part = 950 * ns_per_ms;

    // A real-time thread ran from `begin` to `end`.
    void charge(u64 begin, u64 end) {
        if (end >= period_end()) {
            _start = end - end % period;
            _used = 0;
        }
        _used += end - std::max(begin, _start);
    }
    bool used_up(u64 time) const { return _used >= part && time < period_end(); }
    // Of the period of the last charge.
    u64 left() const { return part - std::min(_used, part); }
    u64 period_end() const { return _start + period; }

private:
    u64 _start = 0;
    u64 _used = 0;
};

}  // namespace kiln

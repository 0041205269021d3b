// Policy, priority and nice value of a thread as the program sees them, what the scheduler makes of
// them, and who may change them to what. Pure, but for rights_of_caller. Tested by tests/guest/thread.
#pragma once

#include "core/cpu_claim.hh"
#include "lib/result.hh"

namespace kiln {

// SCHED_* and the flags of struct sched_attr (include/uapi/linux/sched.h).
namespace policy {
inline constexpr i32 normal = 0, fifo = 1, round_robin = 2, batch = 3, idle = 5, deadline = 6;
inline constexpr i32 reset_on_fork = 0x40000000;
}

constexpr bool is_realtime(i32 which) {
    return which == policy::fifo || which == policy::round_robin;
}
constexpr bool is_fair(i32 which) {
    return which == policy::normal || which == policy::batch || which == policy::idle;
}

struct scheduling {
    i32 policy = policy::normal;
    i32 priority = 0;  // 1 to 99 for real-time policies, else 0
    i32 nice = 0;      // kept, but without effect, while the policy is a real-time one
    bool reset_on_fork = false;
};

// Whether a policy exists and goes with the priority.
result<void> check_policy(i32 which, u32 priority);

// What the scheduler is told.
cpu_claim claim_of(const scheduling& from);

// What a new thread has; the flag that resets has then done its duty.
scheduling scheduling_of_child(const scheduling& parent);

// What the caller may change: read before signal_lock is taken.
struct sched_rights {
    bool everything;  // CAP_SYS_NICE
    u64 nice_limit;   // RLIMIT_NICE: 20 - nice may not be above it
    u64 realtime_limit;

    bool may_have_nice(i32 nice) const;
    // err::perm unless `from` may become `to`.
    result<void> check_change(const scheduling& from, const scheduling& to) const;
};
sched_rights rights_of_caller();

}  // namespace kiln

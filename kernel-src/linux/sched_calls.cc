// kernel only: the system calls on scheduling policies. scheduling.hh has the rules.
//
// Differs from Linux: SCHED_DEADLINE is refused, as by a kernel that has no bandwidth left to give.
#include <algorithm>

#include "core/sched.hh"
#include "linux/futex.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"
#include "linux/time_values.hh"

namespace kiln {
namespace {

namespace attribute_flag {
inline constexpr u64 reset_on_fork = 1, keep_policy = 8, keep_params = 16, clamp = 0x60,
                     known = 0x7f;
}

// struct sched_attr (include/uapi/linux/sched/types.h).
struct sched_attributes {
    u32 size;
    u32 policy;
    u64 flags;
    i32 nice;
    u32 priority;
    u64 runtime, deadline, period;
    u32 util_min, util_max;
};
inline constexpr u32 smallest_attributes = 48;
inline constexpr i32 policy_as_it_is = -1;

// Runs `act(task&)` on the task with this tid (0: the caller) under signal_lock.
template <class Act>
auto with_task(i32 tid, Act act) -> decltype(act(*current_task())) {
    if (tid < 0) {
        return err::inval;
    }
    irq_guard guard(the_process().signal_lock);
    task* found = tid == 0 ? current_task() : find_task(tid);
    if (found == nullptr) {
        return err::srch;
    }
    return act(*found);
}

result<scheduling> scheduling_of(i32 tid) {
    return with_task(tid, [](task& target) -> result<scheduling> { return target.sched; });
}

// Under signal_lock.
result<void> check_change(const task& target, const scheduling& wanted,
                          const sched_rights& rights) {
    TRY(check_policy(wanted.policy, static_cast<u32>(wanted.priority)));
    return rights.check_change(target.sched, wanted);
}

// Under signal_lock.
result<i64> change(task& target, const scheduling& wanted, const sched_rights& rights) {
    TRY(check_change(target, wanted, rights));
    target.sched = wanted;
    apply_scheduling(target);
    return 0;
}

// The old calls, which know neither nice values nor flags but one.
result<i64> set_policy(i32 tid, i32 wanted, user_ptr<i32> parameters) {
    if (!parameters || tid < 0) {
        return err::inval;
    }
    const i32 priority = TRY(parameters.read());
    const sched_rights rights = rights_of_caller();
    TRY(with_task(tid, [=](task& target) -> result<i64> {
        scheduling next = target.sched;
        next.priority = priority;
        if (wanted != policy_as_it_is) {
            next.policy = wanted & ~policy::reset_on_fork;
            next.reset_on_fork = (wanted & policy::reset_on_fork) != 0;
        }
        return change(target, next, rights);
    }));
    renew_pi_priority(tid);
    return 0;
}

// Copies what the caller knows of the structure; the rest must be zeros.
result<sched_attributes> read_attributes(user_ptr<sched_attributes> from) {
    const u32 size = TRY(user_ptr<u32>(from.address()).read());
    const u32 given = size == 0 ? smallest_attributes : size;
    sched_attributes wanted{};
    if (given < smallest_attributes || given > page_size) {
        TRY(user_ptr<u32>(from.address()).write(sizeof(sched_attributes)));
        return err::too_big;
    }
    for (u64 at = sizeof(wanted); at < given; ++at) {
        if (TRY(user_ptr<u8>(from.address() + at).read()) != 0) {
            TRY(user_ptr<u32>(from.address()).write(sizeof(sched_attributes)));
            return err::too_big;
        }
    }
    TRY(copy_from_user(&wanted, from.address(), std::min<u64>(given, sizeof(wanted))));
    if ((wanted.flags & attribute_flag::clamp) != 0 && given < sizeof(wanted)) {
        return err::inval;
    }
    wanted.nice = std::clamp(wanted.nice, least_nice, most_nice);
    return wanted;
}

// Whether a deadline could be kept if there were bandwidth (sched(7)).
bool is_deadline(const sched_attributes& wanted) {
    constexpr u64 least_runtime = 1024, least_period = 100 * ns_per_us, most_period = u64{1} << 32;
    const u64 period = wanted.period != 0 ? wanted.period : wanted.deadline;
    return wanted.priority == 0 && wanted.deadline != 0 && wanted.runtime >= least_runtime &&
           wanted.runtime <= wanted.deadline && wanted.deadline <= period &&
           period >= least_period && period < most_period;
}

// Keeping the parameters keeps the policy too: all that changes then is the flag.
result<i64> set_attributes(task& target, const sched_attributes& wanted,
                           const sched_rights& rights) {
    const bool keep_params = (wanted.flags & attribute_flag::keep_params) != 0;
    scheduling next = target.sched;
    if ((wanted.flags & attribute_flag::keep_policy) == 0) {
        next.policy = static_cast<i32>(wanted.policy);
        next.reset_on_fork = (wanted.flags & attribute_flag::reset_on_fork) != 0;
    }
    if ((wanted.flags & ~attribute_flag::known) != 0) {
        return err::inval;
    }
    if (next.policy == policy::deadline) {
        return !is_deadline(wanted) ? err::inval : rights.everything ? err::busy : err::perm;
    }
    if (!keep_params) {
        next.priority = static_cast<i32>(wanted.priority);
        next.nice = is_fair(next.policy) ? wanted.nice : next.nice;
        return change(target, next, rights);
    }
    TRY(check_change(target, next, rights));
    target.sched.reset_on_fork = next.reset_on_fork;
    return 0;
}

bool has_range(i32 which) {
    return is_realtime(which) || is_fair(which) || which == policy::deadline;
}

}  // namespace

SYSCALL(sched_yield) {
    yield_to_equals();
    return 0;
}

SYSCALL(sched_getscheduler, i32 tid) {
    const scheduling found = TRY(scheduling_of(tid));
    return found.policy | (found.reset_on_fork ? policy::reset_on_fork : 0);
}

SYSCALL(sched_setscheduler, i32 tid, i32 wanted, user_ptr<i32> parameters) {
    return wanted < 0 ? result<i64>(err::inval) : set_policy(tid, wanted, parameters);
}

SYSCALL(sched_getparam, i32 tid, user_ptr<i32> to) {
    if (!to) {
        return err::inval;
    }
    const scheduling found = TRY(scheduling_of(tid));
    TRY(to.write(found.priority));
    return 0;
}

SYSCALL(sched_setparam, i32 tid, user_ptr<i32> parameters) {
    return set_policy(tid, policy_as_it_is, parameters);
}

SYSCALL(sched_get_priority_max, i32 which) {
    if (!has_range(which)) {
        return err::inval;
    }
    return is_realtime(which) ? 99 : 0;
}

SYSCALL(sched_get_priority_min, i32 which) {
    if (!has_range(which)) {
        return err::inval;
    }
    return is_realtime(which) ? 1 : 0;
}

SYSCALL(sched_rr_get_interval, i32 tid, user_ptr<user_timespec> to) {
    const i32 which = TRY(scheduling_of(tid)).policy;
    const u64 ms = which == policy::round_robin ? 100 : which == policy::fifo ? 0 : 4;
    TRY(to.write(to_timespec(ms * ns_per_ms)));
    return 0;
}

SYSCALL(sched_setattr, i32 tid, user_ptr<sched_attributes> from, u32 flags) {
    if (!from || tid < 0 || flags != 0) {
        return err::inval;
    }
    const sched_attributes wanted = TRY(read_attributes(from));
    if (static_cast<i32>(wanted.policy) < 0) {
        return err::inval;
    }
    const sched_rights rights = rights_of_caller();
    TRY(with_task(tid, [&](task& target) -> result<i64> {
        return set_attributes(target, wanted, rights);
    }));
    renew_pi_priority(tid);
    return 0;
}

SYSCALL(sched_getattr, i32 tid, user_ptr<sched_attributes> to, u32 size, u32 flags) {
    if (!to || tid < 0 || size < smallest_attributes || size > page_size || flags != 0) {
        return err::inval;
    }
    const scheduling found = TRY(scheduling_of(tid));
    const u32 known = std::min<u32>(size, sizeof(sched_attributes));
    const sched_attributes shown{
        .size = known,
        .policy = static_cast<u32>(found.policy),
        .flags = found.reset_on_fork ? attribute_flag::reset_on_fork : 0,
        .nice = is_fair(found.policy) ? found.nice : 0,
        .priority = static_cast<u32>(found.priority),
        .runtime = 0,
        .deadline = 0,
        .period = 0,
        .util_min = 0,
        .util_max = 1024,
    };
    TRY(copy_to_user(to.address(), &shown, known));
    TRY(clear_user(to.address() + known, size - known));
    return 0;
}

}  // namespace kiln

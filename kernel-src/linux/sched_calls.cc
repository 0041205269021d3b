// kernel only: the system calls on scheduling.
//
// Policies, priorities and nice values are checked, kept and returned as on Linux, but the scheduler is
// fair to all threads alike. Affinity is real.
#include "core/sched.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"
#include "linux/time_values.hh"

namespace kiln {
namespace {

namespace policy {
inline constexpr i32 normal = 0, fifo = 1, round_robin = 2, batch = 3, idle = 5, deadline = 6;
inline constexpr i32 reset_on_fork = 0x40000000;
}
inline constexpr u64 flag_reset_on_fork = 1, flag_keep_policy = 8, flag_keep_params = 16,
                     known_flags = 0x7f;

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

bool is_realtime(i32 which) {
    return which == policy::fifo || which == policy::round_robin;
}
bool is_fair(i32 which) {
    return which == policy::normal || which == policy::batch || which == policy::idle;
}

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

result<void> check_policy(i32 which, i32 priority) {
    if (is_realtime(which)) {
        return priority >= 1 && priority <= 99 ? result<void>() : err::inval;
    }
    if (is_fair(which)) {
        return priority == 0 ? result<void>() : err::inval;
    }
    return err::inval;
}

result<i64> set_policy(i32 tid, i32 wanted, i32 priority) {
    const bool reset = (wanted & policy::reset_on_fork) != 0;
    const i32 which = wanted & ~policy::reset_on_fork;
    if (wanted < 0 || tid < 0) {
        return err::inval;
    }
    TRY(check_policy(which, priority));
    return with_task(tid, [=](task& target) -> result<i64> {
        target.sched.policy = which;
        target.sched.priority = priority;
        target.sched.flags = reset ? flag_reset_on_fork : 0;
        return 0;
    });
}

i64 largest_priority(i32 which) {
    return is_realtime(which) ? 99 : 0;
}

i32 clamp_nice(i32 nice) {
    return nice < -20 ? -20 : nice > 19 ? 19 : nice;
}

}  // namespace

SYSCALL(sched_yield) {
    yield();
    return 0;
}

SYSCALL(sched_getscheduler, i32 tid) {
    return with_task(tid, [](task& target) -> result<i64> {
        const bool reset = (target.sched.flags & flag_reset_on_fork) != 0;
        return target.sched.policy | (reset ? policy::reset_on_fork : 0);
    });
}

SYSCALL(sched_setscheduler, i32 tid, i32 wanted, user_ptr<i32> parameters) {
    if (!parameters) {
        return err::inval;
    }
    const i32 priority = TRY(parameters.read());
    return set_policy(tid, wanted, priority);
}

SYSCALL(sched_getparam, i32 tid, user_ptr<i32> to) {
    if (!to) {
        return err::inval;
    }
    const i64 priority =
        TRY(with_task(tid, [](task& target) -> result<i64> { return target.sched.priority; }));
    TRY(to.write(static_cast<i32>(priority)));
    return 0;
}

SYSCALL(sched_setparam, i32 tid, user_ptr<i32> parameters) {
    if (!parameters) {
        return err::inval;
    }
    const i32 priority = TRY(parameters.read());
    return with_task(tid, [=](task& target) -> result<i64> {
        TRY(check_policy(target.sched.policy, priority));
        target.sched.priority = priority;
        return 0;
    });
}

SYSCALL(sched_get_priority_max, i32 which) {
    if (!is_realtime(which) && !is_fair(which) && which != policy::deadline) {
        return err::inval;
    }
    return largest_priority(which);
}

SYSCALL(sched_get_priority_min, i32 which) {
    if (!is_realtime(which) && !is_fair(which) && which != policy::deadline) {
        return err::inval;
    }
    return is_realtime(which) ? 1 : 0;
}

SYSCALL(sched_rr_get_interval, i32 tid, user_ptr<user_timespec> to) {
    const i64 ns = TRY(with_task(tid, [](task& target) -> result<i64> {
        switch (target.sched.policy) {
        case policy::round_robin: return 100 * static_cast<i64>(ns_per_ms);
        case policy::fifo: return 0;
        default: return 4 * static_cast<i64>(ns_per_ms);
        }
    }));
    TRY(to.write(to_timespec(static_cast<u64>(ns))));
    return 0;
}

// SCHED_DEADLINE is refused as by a kernel whose admission control has no bandwidth to give.
SYSCALL(sched_setattr, i32 tid, user_ptr<sched_attributes> from, u32 flags) {
    if (!from || tid < 0 || flags != 0) {
        return err::inval;
    }
    const u32 size = TRY(user_ptr<u32>(from.address()).read());
    sched_attributes wanted{};
    const u32 given = size == 0 ? smallest_attributes : size;
    if (given < smallest_attributes || given > page_size) {
        TRY(user_ptr<u32>(from.address()).write(sizeof(sched_attributes)));
        return err::too_big;
    }
    const usize known = given < sizeof(wanted) ? given : sizeof(wanted);
    TRY(copy_from_user(&wanted, from.address(), known));
    if ((wanted.flags & ~known_flags) != 0 || static_cast<i32>(wanted.policy) < 0) {
        return err::inval;
    }
    const bool keep_policy = (wanted.flags & flag_keep_policy) != 0;
    const bool keep_params = (wanted.flags & flag_keep_params) != 0;
    return with_task(tid, [=](task& target) -> result<i64> {
        const i32 which = keep_policy ? target.sched.policy : static_cast<i32>(wanted.policy);
        if (which == policy::deadline) {
            return err::busy;
        }
        const i32 priority =
            keep_params ? target.sched.priority : static_cast<i32>(wanted.priority);
        TRY(check_policy(which, priority));
        target.sched.policy = which;
        target.sched.priority = priority;
        target.sched.flags = wanted.flags & flag_reset_on_fork;
        if (is_fair(which) && !keep_params) {
            target.sched.nice = clamp_nice(wanted.nice);
        }
        return 0;
    });
}

SYSCALL(sched_getattr, i32 tid, user_ptr<sched_attributes> to, u32 size, u32 flags) {
    if (!to || size < smallest_attributes || size > page_size || flags != 0) {
        return err::inval;
    }
    sched_attributes shown{};
    TRY(with_task(tid, [&](task& target) -> result<i64> {
        shown.policy = static_cast<u32>(target.sched.policy);
        shown.flags = target.sched.flags;
        shown.nice = is_fair(target.sched.policy) ? target.sched.nice : 0;
        shown.priority = static_cast<u32>(target.sched.priority);
        return 0;
    }));
    shown.size = size < sizeof(shown) ? size : sizeof(shown);
    shown.util_max = 1024;
    TRY(copy_to_user(to.address(), &shown, shown.size));
    return 0;
}

SYSCALL(sched_getaffinity, i32 tid, u32 size, u64 to) {
    if (size * 8 < cpu_count() || !is_aligned(size, sizeof(u64))) {
        return err::inval;
    }
    if (tid < 0) {
        return err::srch;
    }
    u64 cpus = 0;
    TRY(with_task(tid, [&](task& target) -> result<i64> {
        cpus = affinity_of(*target.owner);
        return 0;
    }));
    const u32 count = cpu_count();
    cpus &= count >= 64 ? ~u64{0} : (u64{1} << count) - 1;
    TRY(copy_to_user(to, &cpus, sizeof(cpus)));
    return sizeof(cpus);
}

SYSCALL(sched_setaffinity, i32 tid, u32 size, u64 from) {
    u64 cpus = 0;
    TRY(copy_from_user(&cpus, from, size < sizeof(cpus) ? size : sizeof(cpus)));
    if (tid < 0) {
        return err::srch;
    }
    const u32 count = cpu_count();
    cpus &= count >= 64 ? ~u64{0} : (u64{1} << count) - 1;
    ref<thread> target;
    TRY(with_task(tid, [&](task& found) -> result<i64> {
        target = found.owner;
        return 0;
    }));
    if (cpus == 0) {
        return err::inval;
    }
    TRY(set_affinity(*target, cpus));
    return 0;
}

// PRIO_PROCESS 0, PRIO_PGRP 1, PRIO_USER 2. On Linux a nice value belongs to a thread.
SYSCALL(getpriority, i32 which, i32 who) {
    if (which < 0 || which > 2) {
        return err::inval;
    }
    const i32 tid = which == 0 ? who : 0;
    if (which == 1 && who != 0 && who != the_process().group_id) {
        return err::srch;
    }
    if (which == 2 && who != 0) {
        return err::srch;
    }
    if (tid < 0) {
        return err::srch;
    }
    return with_task(tid, [](task& target) -> result<i64> { return 20 - target.sched.nice; });
}

SYSCALL(setpriority, i32 which, i32 who, i32 nice) {
    if (which < 0 || which > 2) {
        return err::inval;
    }
    if ((which == 1 && who != 0 && who != the_process().group_id) || (which == 2 && who != 0) ||
        who < 0) {
        return err::srch;
    }
    const i32 value = clamp_nice(nice);
    return with_task(which == 0 ? who : 0, [=](task& target) -> result<i64> {
        target.sched.nice = value;
        return 0;
    });
}

SYSCALL(ioprio_get, i32, i32) {
    return 0;
}

SYSCALL(ioprio_set, i32, i32, i32) {
    return 0;
}

SYSCALL(getcpu, user_ptr<u32> cpu, user_ptr<u32> node) {
    if (cpu) {
        TRY(cpu.write(this_cpu()));
    }
    if (node) {
        TRY(node.write(0));
    }
    return 0;
}

}  // namespace kiln

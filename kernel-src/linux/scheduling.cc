// kernel only: capabilities and limits of the process. See scheduling.hh.
#include "linux/scheduling.hh"

#include "linux/process.hh"

namespace kiln {

result<void> check_policy(i32 which, u32 priority) {
    if (!is_realtime(which) && !is_fair(which)) {
        return err::inval;
    }
    const bool fits = is_realtime(which) ? priority >= 1 && priority <= 99 : priority == 0;
    return fits ? result<void>() : err::inval;
}

cpu_claim claim_of(const scheduling& from) {
    const sharing kind = from.policy == policy::batch  ? sharing::batch
                         : from.policy == policy::idle ? sharing::idle
                                                       : sharing::normal;
    return {.priority = static_cast<u32>(from.priority),
            .takes_turns = from.policy == policy::round_robin,
            .kind = kind,
            .nice = from.nice};
}

scheduling scheduling_of_child(const scheduling& parent) {
    scheduling child = parent;
    if (parent.reset_on_fork) {
        child.reset_on_fork = false;
        if (is_realtime(parent.policy)) {
            child = {};
        }
        child.nice = child.nice < 0 ? 0 : child.nice;
    }
    return child;
}

bool sched_rights::may_have_nice(i32 nice) const {
    return everything || static_cast<u64>(20 - nice) <= nice_limit;
}

result<void> sched_rights::check_change(const scheduling& from, const scheduling& to) const {
    const bool nicer = !is_fair(to.policy) || to.nice >= from.nice || may_have_nice(to.nice);
    // Out of SCHED_IDLE is like up from a nice value of 20.
    const bool wakes_up = from.policy == policy::idle && to.policy != policy::idle;
    const bool may_wake_up = !wakes_up || may_have_nice(from.nice);
    const auto priority = static_cast<u64>(to.priority);
    const bool may_be_realtime =
        !is_realtime(to.policy) || ((to.policy == from.policy || realtime_limit != 0) &&
                                    (to.priority <= from.priority || priority <= realtime_limit));
    const bool keeps_flag = to.reset_on_fork || !from.reset_on_fork;
    const bool permitted = nicer && may_wake_up && may_be_realtime && keeps_flag;
    return everything || permitted ? result<void>() : err::perm;
}

sched_rights rights_of_caller() {
    return {.everything = is_capable(capability::sys_nice),
            .nice_limit = current_limit(limit::nice),
            .realtime_limit = current_limit(limit::realtime_priority)};
}

}  // namespace kiln

// kernel only: getpriority, setpriority and the priorities of input and output.
//
// As on Linux a nice value belongs to a thread, and PRIO_PROCESS takes a thread's id. There is one
// process, so that its group and its user mean all threads.
#include <algorithm>

#include "linux/process.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

namespace priority_of {
inline constexpr i32 thread = 0, group = 1, user = 2;
}

// Whether the call names a set that this process is in; `thread` aside.
bool means_us(i32 which, i32 who) {
    const process& self = the_process();
    if (which == priority_of::group) {
        return who == 0 || who == self.group_id;
    }
    return who == 0 || static_cast<u32>(who) == self.creds.ruid;
}

// Calls `act(task&)`, which returns whether to go on, for the threads that are meant; err::srch when
// there are none. Under signal_lock.
template <class Act>
result<void> for_each_meant(i32 which, i32 who, Act act) {
    process& self = the_process();
    irq_guard guard(self.signal_lock);
    if (which == priority_of::thread) {
        task* found = who == 0 ? current_task() : find_task(who);
        if (found == nullptr) {
            return err::srch;
        }
        act(*found);
        return {};
    }
    if (!means_us(which, who)) {
        return err::srch;
    }
    for (task* each = self.tasks.first(); each != nullptr; each = self.tasks.next(*each)) {
        act(*each);
    }
    return {};
}

i32 clamp_nice(i32 nice) {
    return std::clamp(nice, least_nice, most_nice);
}

bool is_known(i32 which) {
    return which >= priority_of::thread && which <= priority_of::user;
}

}  // namespace

// The best of those that are meant, as 20 - nice so that it is never negative.
SYSCALL(getpriority, i32 which, i32 who) {
    if (!is_known(which)) {
        return err::inval;
    }
    i64 best = 0;
    TRY(for_each_meant(which, who, [&best](const task& each) {
        best = std::max<i64>(best, 20 - each.sched.nice);
    }));
    return best;
}

SYSCALL(setpriority, i32 which, i32 who, i32 wanted) {
    if (!is_known(which)) {
        return err::inval;
    }
    const sched_rights rights = rights_of_caller();
    const i32 nice = clamp_nice(wanted);
    bool refused = false;
    TRY(for_each_meant(which, who, [&](task& each) {
        if (nice < each.sched.nice && !rights.may_have_nice(nice)) {
            refused = true;
            return;
        }
        each.sched.nice = nice;
        apply_scheduling(each);
    }));
    return refused ? result<i64>(err::acces) : result<i64>(0);
}

SYSCALL(ioprio_get, i32, i32) {
    return 0;
}

SYSCALL(ioprio_set, i32, i32, i32) {
    return 0;
}

}  // namespace kiln

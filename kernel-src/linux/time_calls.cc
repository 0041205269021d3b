// kernel only: needs the scheduler.
//
// Clocks and sleeping. Programs read the common clocks through the vDSO; these are for the others, and
// for programs without it. Context: application threads.
#include "core/clock_step.hh"
#include "core/thread.hh"
#include "linux/clocks.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"
#include "linux/time_values.hh"
#include "mm/address_space.hh"

namespace kiln {
namespace {

inline constexpr u64 coarse_resolution = 4 * ns_per_ms;  // a tick of Debian's kernel
inline constexpr i32 timer_abstime = 1;
inline constexpr u64 clock_tick = 10 * ns_per_ms;  // USER_HZ

// A clockid_t below zero names the CPU time of a process or thread: ~number << 3, bit 2 for a thread,
// and in the lowest bits what is counted.
result<clock_choice> choose_cpu_clock(i32 id) {
    const i32 number = ~(id >> 3);
    const bool of_thread = (id & 4) != 0;
    if ((id & 3) == 3) {
        return err::inval;
    }
    if (!of_thread) {
        if (number != 0 && number != process_id) {
            return err::inval;
        }
        return clock_choice{clock_kind::process_cpu};
    }
    irq_guard guard(the_process().signal_lock);
    if (number != 0 && find_task(number) == nullptr) {
        return err::inval;
    }
    return clock_choice{.kind = clock_kind::thread_cpu, .tid = number};
}

result<u64> thread_cpu_time(i32 tid) {
    if (tid == 0) {
        return cpu_times_of(current_thread()).total;
    }
    irq_guard guard(the_process().signal_lock);
    const task* found = find_task(tid);
    if (found == nullptr || !found->owner) {
        return err::inval;
    }
    return cpu_times_of(*found->owner).total;
}

}  // namespace

result<clock_choice> choose_clock(i32 id) {
    switch (id) {
    case clock_id::realtime:
    case clock_id::tai:
    case clock_id::realtime_alarm:
        return clock_choice{clock_kind::wall};
    case clock_id::realtime_coarse:
        return clock_choice{clock_kind::wall, true};
    case clock_id::monotonic:
    case clock_id::monotonic_raw:
    case clock_id::boottime:
    case clock_id::boottime_alarm:
        return clock_choice{clock_kind::since_boot};
    case clock_id::monotonic_coarse:
        return clock_choice{clock_kind::since_boot, true};
    case clock_id::process_cpu:
        return clock_choice{clock_kind::process_cpu};
    case clock_id::thread_cpu:
        return clock_choice{clock_kind::thread_cpu};
    default:
        return id < 0 ? choose_cpu_clock(id) : err::inval;
    }
}

result<u64> read_clock(const clock_choice& clock) {
    switch (clock.kind) {
    case clock_kind::wall: return realtime_now();
    case clock_kind::since_boot: return now();
    case clock_kind::process_cpu: return process_cpu_times().total;
    case clock_kind::process_user: return process_cpu_times().user();
    case clock_kind::thread_cpu: return thread_cpu_time(clock.tid);
    }
    return err::inval;
}

u64 deadline_on(const clock_choice& clock, u64 time) {
    return clock.kind == clock_kind::wall ? deadline_of_realtime(time) : time;
}

bool sleep_until(u64 deadline) {
    while (now() < deadline) {
        if (interrupted()) {
            return false;
        }
        park_interruptible(deadline);
    }
    return true;
}

namespace {

// Wakes a sleeper, who looks again when its moment is.
struct step_waker : step_listener {
    step_waker() : step_listener(&on_step_of_clock), sleeper(current_thread()) {
        add_step_listener(*this);
    }
    ~step_waker() { remove_step_listener(*this); }
    static void on_step_of_clock(step_listener& listener, u64) {
        unpark(static_cast<step_waker&>(listener).sleeper);
    }
    thread& sleeper;
};

// Until the clock shows `time`; false when a signal came first.
bool sleep_on_clock(const clock_choice& clock, u64 time) {
    if (clock.kind != clock_kind::wall) {
        return sleep_until(deadline_on(clock, time));
    }
    step_waker waker;
    for (u64 deadline = deadline_on(clock, time); now() < deadline;
         deadline = deadline_on(clock, time)) {
        if (interrupted()) {
            return false;
        }
        park_interruptible(deadline);
    }
    return true;
}

}  // namespace

SYSCALL(clock_gettime, i32 id, user_ptr<user_timespec> to) {
    const clock_choice clock = TRY(choose_clock(id));
    const u64 time = TRY(read_clock(clock));
    TRY(to.write(to_timespec(time)));
    return 0;
}

SYSCALL(clock_getres, i32 id, user_ptr<user_timespec> to) {
    const clock_choice clock = TRY(choose_clock(id));
    if (to) {
        TRY(to.write(to_timespec(clock.coarse ? coarse_resolution : 1)));
    }
    return 0;
}

// Differs from Linux: the host keeps the guest's clock, and nobody in here sets it (EPERM).
SYSCALL(clock_settime, i32 id, user_ptr<user_timespec> from) {
    const auto wanted = TRY(from.read());
    TRY(from_timespec(wanted));
    return id == clock_id::realtime ? err::perm : err::inval;
}

// Differs from Linux: EPERM, as clock_settime.
SYSCALL(settimeofday, u64, u64) {
    return err::perm;
}

namespace {

// struct timex (adjtimex(2)).
struct user_timex {
    u32 modes;
    i64 offset, frequency, max_error, estimated_error;
    i32 status;
    i64 constant, precision, tolerance;
    user_timeval time;
    i64 tick, pps[8];
    i32 tai;
    i32 rest[11];
};
static_assert(sizeof(user_timex) == 208);

inline constexpr i32 status_unsynchronised = 0x40;
inline constexpr i64 clock_not_synchronised = 5;  // TIME_ERROR

// Reading only: the clock is the host's.
result<i64> read_adjustment(user_ptr<user_timex> at) {
    user_timex state = TRY(at.read());
    const u32 read_only_offset = 0xa001;  // ADJ_OFFSET_SS_READ
    if (state.modes != 0 && state.modes != read_only_offset) {
        return err::perm;
    }
    const u32 modes = state.modes;
    state = {};
    state.modes = modes;
    state.max_error = state.estimated_error = 16'000'000;
    state.status = status_unsynchronised;
    state.constant = 2;
    state.precision = 1;
    state.tolerance = 32'768'000;
    state.time = to_timeval(realtime_now());
    state.tick = 10'000;
    TRY(at.write(state));
    return clock_not_synchronised;
}

}  // namespace

// Differs from Linux: the clock can be read but not adjusted (EPERM).
SYSCALL(adjtimex, user_ptr<user_timex> at) {
    return read_adjustment(at);
}

// Differs from Linux: the clock can be read but not adjusted (EPERM).
SYSCALL(clock_adjtime, i32 id, user_ptr<user_timex> at) {
    return id == clock_id::realtime ? read_adjustment(at) : result<i64>(err::opnotsupp);
}

SYSCALL(gettimeofday, user_ptr<user_timeval> to, u64 zone) {
    if (to) {
        TRY(to.write(to_timeval(realtime_now())));
    }
    if (zone != 0) {
        TRY(clear_user(zone, 2 * sizeof(i32)));
    }
    return 0;
}

SYSCALL(time, user_ptr<i64> to) {
    const i64 seconds = static_cast<i64>(realtime_now() / ns_per_s);
    if (to) {
        TRY(to.write(seconds));
    }
    return seconds;
}

namespace {

result<i64> resume_sleep(const restart_block& saved);

// A relative sleep: what is left goes to the program when a handler ends it.
result<i64> sleep_relative(u64 deadline, u64 remaining_address) {
    if (sleep_until(deadline)) {
        return 0;
    }
    const u64 moment = now();
    const u64 left = deadline > moment ? deadline - moment : 0;
    if (left == 0) {
        return 0;
    }
    if (remaining_address != 0) {
        TRY(user_ptr<user_timespec>(remaining_address).write(to_timespec(left)));
    }
    return restart_later(&resume_sleep, {deadline, remaining_address, 0, 0, 0, 0});
}

result<i64> resume_sleep(const restart_block& saved) {
    return sleep_relative(saved.arguments[0], saved.arguments[1]);
}

// CPU time makes no events: look again when as much could have passed on all CPUs together.
result<i64> sleep_on_cpu_time(const clock_choice& clock, u64 until, bool absolute,
                              u64 remaining_address) {
    for (;;) {
        const u64 used = TRY(read_clock(clock));
        if (used >= until) {
            return 0;
        }
        const u64 at_least = (until - used) / cpu_count();
        if (sleep_until(deadline_after(at_least < ns_per_ms ? ns_per_ms : at_least))) {
            continue;
        }
        if (!absolute && remaining_address != 0) {
            TRY(user_ptr<user_timespec>(remaining_address).write(to_timespec(until - used)));
        }
        return absolute ? err::restart_nohand : err::intr;
    }
}

bool can_sleep_on(i32 id) {
    return id == clock_id::realtime || id == clock_id::monotonic || id == clock_id::boottime ||
           id == clock_id::tai || id == clock_id::process_cpu || id < 0;
}

}  // namespace

SYSCALL(nanosleep, u64 duration_address, u64 remaining_address) {
    const u64 duration = TRY(read_duration(duration_address));
    return sleep_relative(deadline_after(duration), remaining_address);
}

SYSCALL(clock_nanosleep, i32 id, i32 flags, u64 time_address, u64 remaining_address) {
    const clock_choice clock = TRY(choose_clock(id));
    if (!can_sleep_on(id)) {
        return err::opnotsupp;
    }
    const u64 time = TRY(read_duration(time_address));
    const bool absolute = (flags & timer_abstime) != 0;
    if (clock.kind == clock_kind::process_cpu || clock.kind == clock_kind::thread_cpu) {
        if (clock.kind == clock_kind::thread_cpu &&
            (clock.tid == 0 || clock.tid == current_task()->tid)) {
            return err::inval;  // it would never wake
        }
        const u64 until = absolute ? time : TRY(read_clock(clock)) + time;
        return sleep_on_cpu_time(clock, until, absolute, remaining_address);
    }
    if (!absolute) {
        return sleep_relative(deadline_after(time), remaining_address);
    }
    if (sleep_on_clock(clock, time)) {
        return 0;
    }
    return err::restart_nohand;
}

SYSCALL(times, u64 to) {
    const cpu_times used = process_cpu_times();
    const u64 values[4] = {(used.total - used.kernel) / clock_tick, used.kernel / clock_tick, 0, 0};
    if (to != 0) {
        TRY(copy_to_user(to, values, sizeof(values)));
    }
    return static_cast<i64>(now() / clock_tick);
}

namespace {

struct user_rusage {
    user_timeval user_time;
    user_timeval system_time;
    i64 max_resident_kib;
    i64 unused_sizes[3];
    i64 minor_faults;
    i64 major_faults;
    i64 unused_counts[6];
    i64 voluntary_switches;
    i64 involuntary_switches;
};
static_assert(sizeof(user_rusage) == 144);

inline constexpr i32 rusage_self = 0, rusage_children = -1, rusage_thread = 1;

}  // namespace

SYSCALL(getrusage, i32 who, user_ptr<user_rusage> to) {
    if (who != rusage_self && who != rusage_children && who != rusage_thread) {
        return err::inval;
    }
    user_rusage usage{};
    if (who != rusage_children) {
        const cpu_times used =
            who == rusage_thread ? cpu_times_of(current_thread()) : process_cpu_times();
        const memory_usage memory = the_address_space().usage();
        const switch_counts switches =
            who == rusage_thread ? switch_counts_of(current_thread()) : process_switch_counts();
        usage.voluntary_switches = static_cast<i64>(switches.voluntary);
        usage.involuntary_switches = static_cast<i64>(switches.involuntary);
        usage.user_time = to_timeval(used.user());
        usage.system_time = to_timeval(used.kernel);
        usage.max_resident_kib = static_cast<i64>(memory.peak_resident * (page_size / KiB));
        usage.minor_faults = static_cast<i64>(memory.minor_faults);
        usage.major_faults = static_cast<i64>(memory.major_faults);
    }
    TRY(to.write(usage));
    return 0;
}

}  // namespace kiln

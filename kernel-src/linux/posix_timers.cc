// kernel only: needs the timers of the scheduler's CPUs.
//
// setitimer, alarm and timer_create. All state is guarded by signal_lock, because timers expire in
// interrupts and queue signals there; timers_mutex (outer) keeps calls that set the same timer apart,
// since a timer must be cancelled without the lock that its expiry takes.
//
// A POSIX timer's signal has its own queue entry. While it is queued the timer rests, and the periods
// that pass meanwhile are its overrun; it goes on when the signal is taken. Timers on CPU time look
// again when as much time could have been used by all CPUs together.
#include "linux/posix_timers.hh"

#include "core/clock_step.hh"
#include "core/mutex.hh"
#include "core/thread.hh"
#include "core/timer.hh"
#include "linux/clocks.hh"
#include "linux/process.hh"
#include "linux/signal_state.hh"
#include "linux/syscall.hh"
#include "linux/time_values.hh"

namespace kiln {
namespace {

// Periods are not served faster than this, lest a program drown itself in interrupts.
inline constexpr u64 shortest_pause = 50 * ns_per_us;
inline constexpr u64 cpu_poll_pause = ns_per_ms;

enum class notification : i32 { signal = 0, none = 1, thread = 2, thread_id = 4 };

constinit mutex timers_mutex;
std::atomic<bool> stopped{false};

// What all interval timers share: a clock, when it expires on that clock, and the period.
struct interval_timer : noncopyable {
    constexpr explicit interval_timer(timer::fire_function fire) : hardware(fire) {}

    timer hardware;
    clock_choice clock{clock_kind::since_boot};
    u64 expires = 0;  // on the clock; 0: not armed
    u64 interval = 0;
};

bool counts_cpu_time(const clock_choice& clock) {
    return clock.kind == clock_kind::process_cpu || clock.kind == clock_kind::process_user ||
           clock.kind == clock_kind::thread_cpu;
}

// read_clock for interrupts, with signal_lock held.
u64 read_clock_locked(const clock_choice& clock) {
    switch (clock.kind) {
    case clock_kind::wall: return realtime_now();
    case clock_kind::since_boot: return now();
    case clock_kind::process_cpu: return process_cpu_times_locked().total;
    case clock_kind::process_user: return process_cpu_times_locked().user();
    case clock_kind::thread_cpu: break;
    }
    const task* found = find_task(clock.tid);
    return found != nullptr && found->owner ? cpu_times_of(*found->owner).total : 0;
}

void arm_hardware(interval_timer& which, u64 pause_at_least) {
    const u64 clock_now = read_clock_locked(which.clock);
    u64 left = which.expires > clock_now ? which.expires - clock_now : 0;
    if (counts_cpu_time(which.clock)) {
        left /= cpu_count();
        pause_at_least = pause_at_least < cpu_poll_pause ? cpu_poll_pause : pause_at_least;
    }
    start_timer(which.hardware, deadline_after(left < pause_at_least ? pause_at_least : left));
}

// Moves the expiry past the present; how many periods that skipped beyond the first.
u64 advance(interval_timer& which) {
    const u64 clock_now = read_clock_locked(which.clock);
    u64 skipped = 0;
    if (clock_now >= which.expires) {
        skipped = (clock_now - which.expires) / which.interval;
    }
    which.expires += (skipped + 1) * which.interval;
    return skipped;
}

// Whether it has really expired; a CPU clock that is not there yet is looked at again later.
bool has_expired(interval_timer& which) {
    if (which.expires == 0 || stopped.load(std::memory_order_relaxed)) {
        return false;
    }
    if (read_clock_locked(which.clock) < which.expires) {
        arm_hardware(which, 0);
        return false;
    }
    return true;
}

user_itimerspec read_setting(const interval_timer& which) {
    user_itimerspec setting{.interval = to_timespec(which.interval), .value = {0, 0}};
    if (which.expires == 0) {
        return setting;
    }
    const u64 clock_now = read_clock_locked(which.clock);
    u64 expires = which.expires;
    if (clock_now >= expires && which.interval != 0) {
        // It rests until its signal is taken: show the period that would be running.
        expires += ((clock_now - expires) / which.interval + 1) * which.interval;
    }
    // An armed timer that is about to expire still reads as armed.
    setting.value = to_timespec(expires > clock_now ? expires - clock_now : 1);
    return setting;
}

// --- setitimer ---

struct process_timer : interval_timer {
    constexpr process_timer(int number, clock_choice which, timer::fire_function fire)
        : interval_timer(fire), signo(number) {
        clock = which;
    }
    int signo;
};

void fire_process_timer(timer& expired);

// ITIMER_REAL, ITIMER_VIRTUAL and ITIMER_PROF.
process_timer& itimer(u32 which) {
    static constinit process_timer real(signo::alrm, {clock_kind::since_boot}, &fire_process_timer);
    static constinit process_timer user(signo::vtalrm, {clock_kind::process_user}, &fire_process_timer);
    static constinit process_timer both(signo::prof, {clock_kind::process_cpu}, &fire_process_timer);
    return which == 0 ? real : which == 1 ? user : both;
}

process_timer& owner_of(timer& hardware) {
    for (u32 which = 0; which < 2; ++which) {
        if (&itimer(which).hardware == &hardware) {
            return itimer(which);
        }
    }
    return itimer(2);
}

void fire_process_timer(timer& expired) {
    process_timer& which = owner_of(expired);
    {
        irq_guard guard(the_process().signal_lock);
        if (!has_expired(which)) {
            return;
        }
        queue_signal(nullptr, nullptr, which.signo);
        if (which.interval == 0) {
            which.expires = 0;
        } else {
            advance(which);
            arm_hardware(which, shortest_pause);
        }
    }
    the_process().signal_arrived.wake_all();
}

struct user_itimerval {
    user_timeval interval;
    user_timeval value;
};

user_itimerval to_itimerval(const user_itimerspec& from) {
    return {{from.interval.seconds, from.interval.nanoseconds / 1000},
            {from.value.seconds, (from.value.nanoseconds + 999) / 1000}};
}

// Returns the setting before.
user_itimerspec set_itimer(process_timer& which, u64 value, u64 interval) {
    lock_guard serial(timers_mutex);
    user_itimerspec before;
    {
        irq_guard guard(the_process().signal_lock);
        before = read_setting(which);
        which.expires = 0;
    }
    cancel_timer(which.hardware);
    irq_guard guard(the_process().signal_lock);
    which.interval = interval;
    if (value != 0) {
        which.expires = read_clock_locked(which.clock) + value;
        arm_hardware(which, 0);
    }
    return before;
}

}  // namespace

SYSCALL(getitimer, i32 which, user_ptr<user_itimerval> to) {
    if (which < 0 || which > 2) {
        return err::inval;
    }
    user_itimerspec setting;
    {
        irq_guard guard(the_process().signal_lock);
        setting = read_setting(itimer(static_cast<u32>(which)));
    }
    TRY(to.write(to_itimerval(setting)));
    return 0;
}

// A null new value disarms, as on Linux (which warns about it).
SYSCALL(setitimer, i32 which, user_ptr<user_itimerval> from, user_ptr<user_itimerval> old) {
    user_itimerval wanted{};
    if (from) {
        wanted = TRY(from.read());
    }
    const u64 value = TRY(from_timeval(wanted.value));
    const u64 interval = TRY(from_timeval(wanted.interval));
    if (which < 0 || which > 2) {
        return err::inval;
    }
    const user_itimerspec before = set_itimer(itimer(static_cast<u32>(which)), value, interval);
    if (old) {
        TRY(old.write(to_itimerval(before)));
    }
    return 0;
}

SYSCALL(alarm, u32 seconds) {
    const user_itimerspec before = set_itimer(itimer(0), seconds * ns_per_s, 0);
    // Rounded, but an alarm that is pending is never 0.
    i64 left = before.value.seconds;
    if ((left == 0 && before.value.nanoseconds != 0) || before.value.nanoseconds >= 500'000'000) {
        ++left;
    }
    return left;
}

// --- timer_create ---

namespace {

struct posix_timer : interval_timer {
    posix_timer() : interval_timer(&expire) { entry.taken = &signal_taken; }

    i32 id = 0;
    clock_choice chosen{clock_kind::since_boot};  // what it was made for; `clock` is what runs it
    notification notify = notification::signal;
    i32 target_tid = 0;
    queued_signal entry;
    bool queued = false;
    u64 overrun = 0;       // of the signal that is queued
    i32 last_overrun = 0;  // of the one taken last
    bool deleted = false;

    static void expire(timer& hardware);
    static void signal_taken(queued_signal& entry);
    void send();
};

posix_timer& timer_of(queued_signal& entry) {
    return *member_traits<&posix_timer::entry>::object(&entry);
}

constexpr i32 clamp_overrun(u64 count) {
    return count > 0x7fff'ffff ? 0x7fff'ffff : static_cast<i32>(count);
}

// Under signal_lock.
void posix_timer::send() {
    task* target = nullptr;
    if (notify == notification::thread_id) {
        target = find_task(target_tid);
        if (target == nullptr) {
            return;
        }
    }
    overrun = 0;
    queued = queue_signal(target, &entry, entry.info.signo);
    if (!queued && interval != 0) {
        // Ignored or lost: nobody will take it, so go on at once.
        advance(*this);
        arm_hardware(*this, cpu_poll_pause);
    }
}

void posix_timer::expire(timer& hardware) {
    auto& self = static_cast<posix_timer&>(
        *member_traits<&interval_timer::hardware>::object(&hardware));
    {
        irq_guard guard(the_process().signal_lock);
        if (self.deleted || !has_expired(self)) {
            return;
        }
        self.send();
        if (self.interval == 0) {
            self.expires = 0;
        }
    }
    the_process().signal_arrived.wake_all();
}

void posix_timer::signal_taken(queued_signal& entry) {
    posix_timer& self = timer_of(entry);
    self.queued = false;
    if (self.interval != 0 && self.expires != 0 && !self.deleted) {
        self.overrun = advance(self);
        arm_hardware(self, shortest_pause);
    }
    self.last_overrun = clamp_overrun(self.overrun);
    entry.info.timer.overrun = self.last_overrun;
}

constinit vector<unique<posix_timer>> timers;  // by number; null: free. timers_mutex

struct user_sigevent {
    u64 value;
    i32 signo;
    i32 notify;
    i32 tid;
    u32 rest[11];
};
static_assert(sizeof(user_sigevent) == 64);

result<void> configure(posix_timer& made, const user_sigevent& event) {
    const auto wanted = static_cast<notification>(event.notify);
    switch (wanted) {
    case notification::thread_id: {
        irq_guard guard(the_process().signal_lock);
        if (find_task(event.tid) == nullptr) {
            return err::inval;
        }
        break;
    }
    case notification::signal:
    case notification::thread:
    case notification::none:
        break;
    default:
        return err::inval;
    }
    if (wanted != notification::none && !valid_signal(event.signo)) {
        return err::inval;
    }
    made.notify = wanted;
    made.target_tid = event.tid;
    made.entry.info = {.signo = event.signo,
                       .code = si_code::timer,
                       .timer = {.id = 0, .overrun = 0, .value = event.value}};
    return {};
}

result<i32> free_number() {
    for (usize i = 0; i < timers.size(); ++i) {
        if (!timers[i]) {
            return static_cast<i32>(i);
        }
    }
    if (timers.size() >= current_limit(limit::pending_signals)) {
        return err::again;
    }
    TRY(timers.push_back(nullptr));
    return static_cast<i32>(timers.size() - 1);
}

result<posix_timer*> find_timer(i32 id) {
    if (id < 0 || static_cast<usize>(id) >= timers.size() || !timers[static_cast<usize>(id)]) {
        return err::inval;
    }
    return timers[static_cast<usize>(id)].get();
}

// Stops it and takes its signal out of the queue, so that it may be set or freed.
void quiesce(posix_timer& which) {
    {
        irq_guard guard(the_process().signal_lock);
        which.expires = 0;
    }
    cancel_timer(which.hardware);
    irq_guard guard(the_process().signal_lock);
    if (which.queued) {
        task* target = which.notify == notification::thread_id ? find_task(which.target_tid) : nullptr;
        pending_signals& queue = target != nullptr ? target->pending : the_process().pending;
        queue.withdraw(which.entry);
        which.queued = false;
    }
}

// A duration on the wall clock is not changed by its steps.
clock_choice clock_of_durations(const clock_choice& chosen) {
    return chosen.kind == clock_kind::wall ? clock_choice{clock_kind::since_boot} : chosen;
}

// Timers that wait for a moment of the wall clock are due sooner.
void on_clock_step(step_listener&, u64) {
    lock_guard serial(timers_mutex);
    for (const unique<posix_timer>& each : timers) {
        if (!each || each->clock.kind != clock_kind::wall) {
            continue;
        }
        irq_guard guard(the_process().signal_lock);
        if (each->expires != 0 && !each->queued && each->notify != notification::none) {
            arm_hardware(*each, 0);
        }
    }
}

void listen_for_steps() {
    static constinit step_listener listener(&on_clock_step);
    static constinit std::atomic<bool> listens{false};
    if (!listens.exchange(true)) {
        add_step_listener(listener);
    }
}

}  // namespace

SYSCALL(timer_create, i32 clock, user_ptr<user_sigevent> event_from, user_ptr<i32> id_to) {
    clock_choice choice = TRY(choose_clock(clock));
    if (choice.coarse || clock == clock_id::monotonic_raw) {
        return err::opnotsupp;
    }
    if (choice.kind == clock_kind::thread_cpu && choice.tid == 0) {
        choice.tid = current_task()->tid;
    }
    if (choice.kind == clock_kind::wall) {
        listen_for_steps();
    }
    user_sigevent event{.value = 0, .signo = signo::alrm, .notify = 0};
    if (event_from) {
        event = TRY(event_from.read());
    }
    unique<posix_timer> made = TRY(make_unique<posix_timer>());
    TRY(configure(*made, event));
    made->clock = made->chosen = choice;
    lock_guard serial(timers_mutex);
    made->id = TRY(free_number());
    made->entry.info.timer.id = made->id;
    if (!event_from) {
        made->entry.info.timer.value = static_cast<u64>(made->id);
    }
    TRY(id_to.write(made->id));
    const auto slot = static_cast<usize>(made->id);
    timers[slot] = std::move(made);
    return 0;
}

SYSCALL(timer_settime, i32 id, i32 flags, user_ptr<user_itimerspec> from,
        user_ptr<user_itimerspec> old) {
    if (!from) {
        return err::inval;
    }
    const auto wanted = TRY(from.read());
    const u64 value = TRY(from_timespec(wanted.value));
    const u64 interval = TRY(from_timespec(wanted.interval));
    user_itimerspec before;
    {
        lock_guard serial(timers_mutex);
        posix_timer& which = *TRY(find_timer(id));
        {
            irq_guard guard(the_process().signal_lock);
            before = read_setting(which);
        }
        quiesce(which);
        irq_guard guard(the_process().signal_lock);
        which.interval = interval;
        which.overrun = 0;
        which.last_overrun = 0;
        if (value != 0) {
            const bool absolute = (flags & 1) != 0;  // TIMER_ABSTIME
            which.clock = absolute ? which.chosen : clock_of_durations(which.chosen);
            which.expires = absolute ? value : read_clock_locked(which.clock) + value;
            if (which.notify != notification::none) {
                arm_hardware(which, 0);
            }
        }
    }
    if (old) {
        TRY(old.write(before));
    }
    return 0;
}

SYSCALL(timer_gettime, i32 id, user_ptr<user_itimerspec> to) {
    user_itimerspec setting;
    {
        lock_guard serial(timers_mutex);
        posix_timer& which = *TRY(find_timer(id));
        irq_guard guard(the_process().signal_lock);
        setting = read_setting(which);
    }
    TRY(to.write(setting));
    return 0;
}

SYSCALL(timer_getoverrun, i32 id) {
    lock_guard serial(timers_mutex);
    posix_timer& which = *TRY(find_timer(id));
    irq_guard guard(the_process().signal_lock);
    return which.last_overrun;
}

SYSCALL(timer_delete, i32 id) {
    lock_guard serial(timers_mutex);
    posix_timer& which = *TRY(find_timer(id));
    {
        irq_guard guard(the_process().signal_lock);
        which.deleted = true;
    }
    quiesce(which);
    timers[static_cast<usize>(id)].reset();
    return 0;
}

void stop_all_timers() {
    stopped.store(true, std::memory_order_relaxed);
}

}  // namespace kiln

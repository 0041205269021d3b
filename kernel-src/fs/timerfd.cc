// kernel only: the host tests have no timer interrupt.
#include "fs/timerfd.hh"

#include <algorithm>

#include "lib/format.hh"

namespace kiln {

timerfd_file::timerfd_file(i32 clock, bool on_wall_clock, u32 flags)
    : file(flags),
      clock_id(clock),
      _timer(&on_expiry, *this),
      _listener(&on_step, *this),
      _on_wall_clock(on_wall_clock) {
    if (_on_wall_clock) {
        add_step_listener(_listener);
    }
}

timerfd_file::~timerfd_file() {
    if (_on_wall_clock) {
        remove_step_listener(_listener);
    }
    cancel_timer(_timer);
}

void timerfd_file::on_step(step_listener& listener, u64 by) {
    timerfd_file& self = static_cast<owned_listener&>(listener).owner;
    lock_guard guard_of_setting(self._setting);
    if (!self._kind.absolute) {
        return;
    }
    cancel_timer(self._timer);
    u64 deadline = never;
    {
        irq_guard guard(self._lock);
        if (self._deadline != never) {
            self._deadline -= std::min(by, self._deadline);
        }
        deadline = self._deadline;
    }
    if (self._kind.cancelled_by_step) {
        self._cancelled.store(true, std::memory_order_release);
        self._waiters.wake(poll_event::in | poll_event::rdnorm);
    }
    if (deadline != never) {
        start_timer(self._timer, deadline);
    }
}

void timerfd_file::catch_up(u64 time) {
    if (_deadline > time) {
        return;
    }
    if (_interval == 0) {
        _count += 1;
        _deadline = never;
        return;
    }
    const u64 expired = (time - _deadline) / _interval + 1;
    _count += expired;
    _deadline += expired * _interval;
}

void timerfd_file::on_expiry(timer& expired) {
    timerfd_file& self = static_cast<owned_timer&>(expired).owner;
    u64 next = never;
    {
        irq_guard guard(self._lock);
        self.catch_up(now());
        next = self._deadline;
    }
    if (next != never) {
        start_timer(self._timer, next);
    }
    self._waiters.wake(poll_event::in | poll_event::rdnorm);
}

void timerfd_file::set(u64 deadline, u64 interval, kind of) {
    lock_guard guard_of_setting(_setting);
    cancel_timer(_timer);
    _kind = of;
    _cancelled.store(false, std::memory_order_relaxed);
    {
        irq_guard guard(_lock);
        _deadline = deadline;
        _interval = interval;
        _count = 0;
    }
    if (deadline != never) {
        start_timer(_timer, deadline);
    }
}

timerfd_file::setting timerfd_file::get() {
    irq_guard guard(_lock);
    const u64 time = now();
    if (_deadline == never) {
        return {0, _interval};
    }
    // One that is due this moment still counts as armed until its interrupt has run.
    return {_deadline > time ? _deadline - time : 1, _interval};
}

// Once it has expired, what has passed until now is counted, however late the interrupt comes.
u64 timerfd_file::take_count() {
    irq_guard guard(_lock);
    if (_count.load(std::memory_order_relaxed) != 0) {
        catch_up(now());
    }
    return _count.exchange(0);
}

result<usize> timerfd_file::read(io_vector& to, u64&) {
    u64 count = 0;
    if (to.remaining() < sizeof(count)) {
        return err::inval;
    }
    count = take_count();
    if (count == 0 && !_cancelled.load(std::memory_order_acquire)) {
        if (nonblocking()) {
            return err::again;
        }
        result<void> outcome = wait_until(_waiters, [&] {
            count = take_count();
            return count != 0 || _cancelled.load(std::memory_order_acquire);
        });
        if (!outcome.ok()) {
            return outcome.error() == err::intr ? err::restart_sys : outcome.error();
        }
    }
    if (_cancelled.exchange(false)) {
        return err::canceled;
    }
    return to.put(&count, sizeof(count));
}

u32 timerfd_file::poll_events() {
    const bool news = _count.load(std::memory_order_acquire) != 0 ||
                      _cancelled.load(std::memory_order_acquire);
    return news ? poll_event::in | poll_event::rdnorm : 0;
}

result<usize> timerfd_file::describe(std::span<char> to) {
    return format_to(to, "anon_inode:[timerfd]");
}

}  // namespace kiln

// timerfd: expirations of a timer, read as a count.
//
// Lock: an irq spin lock for the settings and the count, which the timer interrupt changes.
#pragma once

#include "core/timer.hh"
#include "fs/file.hh"

namespace kiln {

class timerfd_file final : public file {
public:
    timerfd_file(i32 clock, u32 flags) : file(flags), clock_id(clock), _timer(&on_expiry, *this) {}
    ~timerfd_file() override { cancel_timer(_timer); }

    // The first expiry in nanoseconds since boot, `never` to disarm; then every `interval`, 0 for
    // once.
    void set(u64 deadline, u64 interval);
    struct setting {
        u64 left;
        u64 interval;
    };
    setting get();

    result<usize> read(io_vector& to, u64& position) override;
    result<u64> seek(i64, int) override { return u64{0}; }
    u32 poll_events() override;
    wait_queue* poll_queue() override { return &_waiters; }
    result<usize> describe(std::span<char> to) override;
    timerfd_file* as_timerfd() override { return this; }

    const i32 clock_id;

private:
    struct owned_timer : timer {
        owned_timer(fire_function function, timerfd_file& file) : timer(function), owner(file) {}
        timerfd_file& owner;
    };

    static void on_expiry(timer& expired);
    u64 take_count();
    // Counts what has expired until now and sets the next deadline; `_lock` is held.
    void catch_up(u64 time);

    mutex _setting;  // around cancel and start
    irq_spinlock _lock;
    owned_timer _timer;
    u64 _deadline = never;
    u64 _interval = 0;
    std::atomic<u64> _count{0};
    wait_queue _waiters;
};

}  // namespace kiln

// timerfd: expirations of a timer, read as a count.
//
// Lock: an irq spin lock for the settings and the count, which the timer interrupt changes.
#pragma once

#include "core/clock_step.hh"
#include "core/timer.hh"
#include "fs/file.hh"

namespace kiln {

class timerfd_file final : public file {
public:
    // `on_wall_clock`: its clock may be stepped.
    timerfd_file(i32 clock, bool on_wall_clock, u32 flags);
    ~timerfd_file() override;

    // The first expiry in nanoseconds since boot, `never` to disarm; then every `interval`, 0 for
    // once. An absolute time of the wall clock follows its steps, and may be cancelled by one.
    struct kind {
        bool absolute = false;
        bool cancelled_by_step = false;
    };
    void set(u64 deadline, u64 interval, kind of);
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

    struct owned_listener : step_listener {
        owned_listener(step_function function, timerfd_file& file)
            : step_listener(function), owner(file) {}
        timerfd_file& owner;
    };

    static void on_expiry(timer& expired);
    static void on_step(step_listener& listener, u64 by);
    u64 take_count();
    // Counts what has expired until now and sets the next deadline; `_lock` is held.
    void catch_up(u64 time);

    mutex _setting;  // around cancel and start
    irq_spinlock _lock;
    owned_timer _timer;
    u64 _deadline = never;
    u64 _interval = 0;
    std::atomic<u64> _count{0};
    owned_listener _listener;
    const bool _on_wall_clock;
    kind _kind;  // _setting
    std::atomic<bool> _cancelled{false};
    wait_queue _waiters;
};

}  // namespace kiln

// Wait queues: who waits for a condition, and how they are told that it may have changed.
//
// Used by sleeping threads (wait_until) and by observers such as epoll (a wait_entry with an own
// on_wake). Waking passes an event mask (poll bits) so that an observer can ignore what it did not
// ask for. Lock: the queue's own irq_spinlock, innermost but for the run queue's; on_wake runs under it.
// Context: wake from anywhere, add/remove from thread context.
#pragma once

#include "core/clock.hh"
#include "core/park.hh"
#include "core/spinlock.hh"
#include "lib/list.hh"
#include "lib/result.hh"

namespace kiln {

inline constexpr u32 all_events = ~u32{0};

struct wait_entry : noncopyable {
    // Runs under the queue's lock, perhaps in an interrupt handler; must not sleep. Returns whether it
    // used the wake-up (counts against the limit of exclusive wake-ups).
    using wake_function = bool (*)(wait_entry& entry, u32 events);

    explicit wait_entry(wake_function function) : on_wake(function) {}

    wake_function on_wake;
    bool exclusive = false;
    list_node link;
};

class wait_queue : noncopyable {
public:
    constexpr wait_queue() = default;

    void add(wait_entry& entry);
    // Does nothing when the entry is not queued. After it returns, on_wake is not running.
    void remove(wait_entry& entry);

    // Wakes everybody who is not exclusive and one who is.
    void wake(u32 events = all_events) { wake_some(events, 1); }
    void wake_all(u32 events = all_events) { wake_some(events, ~usize{0}); }
    // `exclusive_limit` exclusive entries at the most.
    void wake_some(u32 events, usize exclusive_limit);

    bool has_waiters() const { return _waiting.load(std::memory_order_seq_cst) != 0; }

private:
    irq_spinlock _lock;
    list<wait_entry, &wait_entry::link> _entries;
    std::atomic<u32> _waiting{0};
};

// A wait_entry that unparks the thread that made it.
class thread_waiter : public wait_entry {
public:
    thread_waiter();
    // Whether a wake-up came since the last call.
    bool take() { return _woken.exchange(false, std::memory_order_acquire); }
    // Sleeps until woken or the deadline; interruptible waits also end when interrupted() holds.
    void wait(u64 deadline, bool interruptible);

private:
    static bool wake_thread(wait_entry& entry, u32 events);

    thread& _thread;
    std::atomic<bool> _woken{false};
};

enum class wait_mode : u8 { interruptible, uninterruptible };

// Sleeps until `condition()` holds. err::timedout after the deadline (the condition is checked once
// more first), err::intr when interrupted. The condition runs in the caller's context and may lock
// and sleep itself.
template <class Condition>
result<void> wait_until(wait_queue& queue, Condition condition, u64 deadline = never,
                        wait_mode mode = wait_mode::interruptible, bool exclusive = false) {
    if (condition()) {
        return {};
    }
    thread_waiter waiter;
    waiter.exclusive = exclusive;
    queue.add(waiter);
    result<void> outcome;
    while (!condition()) {
        if (deadline != never && now() >= deadline) {
            outcome = err::timedout;
            break;
        }
        if (mode == wait_mode::interruptible && interrupted()) {
            outcome = err::intr;
            break;
        }
        waiter.wait(deadline, mode == wait_mode::interruptible);
    }
    queue.remove(waiter);
    return outcome;
}

}  // namespace kiln

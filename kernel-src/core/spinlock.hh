// Spin locks. The kernel is not preempted while it runs kernel code, so a spin lock only keeps other
// CPUs out; whoever holds one must not sleep, touch user memory or yield.
//
// spinlock: for data that interrupt handlers never touch.
// irq_spinlock: for data shared with interrupt handlers (run queues, wait queues, timers, device
// rings); it keeps interrupts off while held.
// Hold them through lock_guard / irq_guard.
#pragma once

#include <atomic>

#include "lib/assert.hh"
#include "lib/types.hh"

namespace kiln {

// Provided by arch (and by the host tests, where they do nothing but yield).
u64 interrupts_save_and_disable();
void interrupts_restore(u64 saved);
void cpu_relax();

class spinlock : noncopyable {
public:
    constexpr spinlock() = default;

    bool try_lock() { return !_locked.exchange(true, std::memory_order_acquire); }
    void lock() {
        while (!try_lock()) {
            while (_locked.load(std::memory_order_relaxed)) {
                cpu_relax();
            }
        }
    }
    void unlock() {
        KILN_DEBUG_ASSERT(_locked.load(std::memory_order_relaxed));
        _locked.store(false, std::memory_order_release);
    }
    bool is_locked() const { return _locked.load(std::memory_order_relaxed); }

private:
    std::atomic<bool> _locked{false};
};

class irq_spinlock : noncopyable {
public:
    constexpr irq_spinlock() = default;

    // Returns what unlock must be given back.
    [[nodiscard]] u64 lock() {
        const u64 saved = interrupts_save_and_disable();
        _lock.lock();
        return saved;
    }
    void unlock(u64 saved) {
        _lock.unlock();
        interrupts_restore(saved);
    }
    bool is_locked() const { return _lock.is_locked(); }

private:
    spinlock _lock;
};

// Holds any lock with lock() and unlock() for a scope.
template <class Lock>
class [[nodiscard]] lock_guard : noncopyable {
public:
    explicit lock_guard(Lock& lock) : _lock(lock) { _lock.lock(); }
    ~lock_guard() { _lock.unlock(); }

private:
    Lock& _lock;
};

class [[nodiscard]] irq_guard : noncopyable {
public:
    explicit irq_guard(irq_spinlock& lock) : _lock(lock), _saved(lock.lock()) {}
    ~irq_guard() { _lock.unlock(_saved); }

private:
    irq_spinlock& _lock;
    u64 _saved;
};

}  // namespace kiln

// Sleeping locks. mutex: one holder. rw_mutex: many readers or one writer, first come first served
// (so a reader must not take it again while it holds it). Context: threads, holding no spin lock.
// Not interruptible: critical sections are short or wait only for devices.
#pragma once

#include <atomic>

#include "core/spinlock.hh"
#include "core/wait_queue.hh"

namespace kiln {

class mutex : noncopyable {
public:
    constexpr mutex() = default;

    bool try_lock() {
        u32 free = 0;
        return _state.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                              std::memory_order_relaxed);
    }
    void lock() {
        if (!try_lock()) [[unlikely]] {
            lock_slow();
        }
    }
    void unlock() {
        if (_state.exchange(0, std::memory_order_release) == 2) [[unlikely]] {
            _waiters.wake();
        }
    }
    bool is_locked() const { return _state.load(std::memory_order_relaxed) != 0; }

private:
    void lock_slow();

    std::atomic<u32> _state{0};  // 0 free, 1 held, 2 held and perhaps waited for
    wait_queue _waiters;
};

class rw_mutex : noncopyable {
public:
    constexpr rw_mutex() = default;

    void lock_shared();
    bool try_lock_shared();
    void unlock_shared();
    void lock();
    bool try_lock();
    void unlock();
    // Writer becomes reader without letting another writer in between.
    void downgrade();

private:
    struct waiting {
        list_node link;
        thread* sleeper;
        bool writer;
        std::atomic<bool> admitted{false};
    };

    void enter(bool writer);
    bool try_enter(bool writer);
    bool admit(bool writer);
    void admit_waiters();

    irq_spinlock _lock;
    u32 _readers = 0;
    bool _writer = false;
    list<waiting, &waiting::link> _queue;
};

class [[nodiscard]] shared_guard : noncopyable {
public:
    explicit shared_guard(rw_mutex& lock) : _lock(lock) { _lock.lock_shared(); }
    ~shared_guard() { _lock.unlock_shared(); }

private:
    rw_mutex& _lock;
};

}  // namespace kiln

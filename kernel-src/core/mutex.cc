#include "core/mutex.hh"

namespace kiln {

void mutex::lock_slow() {
    // State 2 is kept by whoever slept, so that its own unlock wakes the next one.
    static_cast<void>(wait_until(
        _waiters, [this] { return _state.exchange(2, std::memory_order_acquire) == 0; }, never,
        wait_mode::uninterruptible, true));
}

bool rw_mutex::admit(bool writer) {
    if (_writer || (writer && _readers != 0)) {
        return false;
    }
    if (writer) {
        _writer = true;
    } else {
        ++_readers;
    }
    return true;
}

bool rw_mutex::try_enter(bool writer) {
    irq_guard guard(_lock);
    return _queue.empty() && admit(writer);
}

void rw_mutex::admit_waiters() {
    while (waiting* first = _queue.front()) {
        if (!admit(first->writer)) {
            return;
        }
        _queue.pop_front();
        thread& sleeper = *first->sleeper;
        // The entry lives on the sleeper's stack; the store lets it go, but the thread itself stays
        // parked or running in enter until _lock is released, because it takes _lock there.
        first->admitted.store(true, std::memory_order_release);
        unpark(sleeper);
    }
}

void rw_mutex::enter(bool writer) {
    waiting self{.link = {}, .sleeper = &current_thread(), .writer = writer};
    {
        irq_guard guard(_lock);
        if (_queue.empty() && admit(writer)) {
            return;
        }
        _queue.push_back(self);
    }
    while (!self.admitted.load(std::memory_order_acquire)) {
        park();
    }
    // Waits until the admitting CPU has left admit_waiters.
    irq_guard guard(_lock);
}

void rw_mutex::lock_shared() {
    enter(false);
}

bool rw_mutex::try_lock_shared() {
    return try_enter(false);
}

void rw_mutex::unlock_shared() {
    irq_guard guard(_lock);
    if (--_readers == 0) {
        admit_waiters();
    }
}

void rw_mutex::lock() {
    enter(true);
}

bool rw_mutex::try_lock() {
    return try_enter(true);
}

void rw_mutex::unlock() {
    irq_guard guard(_lock);
    _writer = false;
    admit_waiters();
}

void rw_mutex::downgrade() {
    irq_guard guard(_lock);
    _writer = false;
    _readers = 1;
    admit_waiters();
}

}  // namespace kiln

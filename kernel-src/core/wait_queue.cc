#include "core/wait_queue.hh"

namespace kiln {

void wait_queue::add(wait_entry& entry) {
    irq_guard guard(_lock);
    if (entry.exclusive) {
        _entries.push_back(entry);
    } else {
        _entries.push_front(entry);
    }
    _waiting.fetch_add(1, std::memory_order_seq_cst);
}

void wait_queue::remove(wait_entry& entry) {
    irq_guard guard(_lock);
    if (entry.link.linked()) {
        list<wait_entry, &wait_entry::link>::remove(entry);
        _waiting.fetch_sub(1, std::memory_order_relaxed);
    }
}

void wait_queue::wake_some(u32 events, usize exclusive_limit) {
    // Pairs with the fetch_add in add: the waker changed the condition before this load, the waiter
    // checks the condition after its add, so one of them sees the other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (_waiting.load(std::memory_order_relaxed) == 0) {
        return;
    }
    irq_guard guard(_lock);
    for (wait_entry& entry : _entries) {
        const bool exclusive = entry.exclusive;
        if (entry.on_wake(entry, events) && exclusive && --exclusive_limit == 0) {
            return;
        }
    }
}

thread_waiter::thread_waiter() : wait_entry(&wake_thread), _thread(current_thread()) {}

bool thread_waiter::wake_thread(wait_entry& entry, u32) {
    auto& waiter = static_cast<thread_waiter&>(entry);
    const bool first = !waiter._woken.exchange(true, std::memory_order_release);
    if (first) {
        unpark(waiter._thread);
    }
    return first;
}

void thread_waiter::wait(u64 deadline, bool interruptible) {
    while (!take()) {
        if (interruptible) {
            park_interruptible(deadline);
        } else {
            park(deadline);
        }
        if ((interruptible && interrupted()) || (deadline != never && now() >= deadline)) {
            return;
        }
    }
}

}  // namespace kiln

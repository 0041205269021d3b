#include "linux/pi_queue.hh"

#include <algorithm>

namespace kiln {

void pi_queue::add(pi_waiter& waiter, i32 owner) {
    waiter.owner = owner;
    waiter.urgency = std::max(waiter.priority, inherited_by(waiter.waiting));
    _waiters.push_back(waiter);
}

void pi_queue::remove(pi_waiter& waiter) {
    _waiters.remove(waiter);
}

pi_waiter* pi_queue::next(const futex_key& key) {
    pi_waiter* best = nullptr;
    for (pi_waiter& each : _waiters) {
        if (each.key == key && (best == nullptr || each.urgency > best->urgency)) {
            best = &each;
        }
    }
    return best;
}

void pi_queue::set_owner(const futex_key& key, i32 owner) {
    for (pi_waiter& each : _waiters) {
        if (each.key == key) {
            each.owner = owner;
        }
    }
}

i32 pi_queue::owner_of(const futex_key& key) {
    for (const pi_waiter& each : _waiters) {
        if (each.key == key) {
            return each.owner;
        }
    }
    return 0;
}

pi_waiter* pi_queue::waiter_on(i32 owner) {
    for (pi_waiter& each : _waiters) {
        if (each.owner == owner) {
            return &each;
        }
    }
    return nullptr;
}

pi_waiter* pi_queue::wait_of(i32 thread) {
    for (pi_waiter& each : _waiters) {
        if (each.waiting == thread) {
            return &each;
        }
    }
    return nullptr;
}

bool pi_queue::closes_circle(i32 self, i32 owner) {
    for (u32 step = 0; step < longest_chain && owner != self; ++step) {
        const pi_waiter* wait = wait_of(owner);
        if (wait == nullptr) {
            return false;
        }
        owner = wait->owner;
    }
    return true;
}

i32 pi_queue::inherited_by(i32 owner) {
    i32 most = 0;
    for (const pi_waiter& each : _waiters) {
        if (each.owner == owner) {
            most = std::max(most, each.urgency);
        }
    }
    return most;
}

// The owner of the lock for which the thread waits, if it has to be told; else 0.
i32 pi_queue::pass_on(i32 thread, i32 inherited) {
    pi_waiter* wait = wait_of(thread);
    if (wait == nullptr) {
        return 0;
    }
    const i32 before = wait->urgency;
    wait->urgency = std::max(wait->priority, inherited);
    return wait->urgency == before ? 0 : wait->owner;
}

i32 pi_queue::set_priority(i32 waiting, i32 priority) {
    pi_waiter* wait = wait_of(waiting);
    if (wait == nullptr) {
        return 0;
    }
    wait->priority = priority;
    wait->urgency = std::max(priority, inherited_by(waiting));
    return wait->owner;
}

}  // namespace kiln

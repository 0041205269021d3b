#include "linux/pi_queue.hh"

#include <algorithm>

namespace kiln {

void pi_queue::add(pi_waiter& waiter, i32 owner) {
    waiter.owner = owner;
    _waiters.push_back(waiter);
}

void pi_queue::remove(pi_waiter& waiter) {
    _waiters.remove(waiter);
}

pi_waiter* pi_queue::next(const futex_key& key) {
    const bool inherits = is_about_others_than(key);
    pi_waiter* best = nullptr;
    i32 most = 0;
    for (pi_waiter& each : _waiters) {
        if (each.key != key) {
            continue;
        }
        const i32 found = inherits ? urgency(each) : each.priority;
        if (best == nullptr || found > most) {
            best = &each;
            most = found;
        }
    }
    return best;
}

bool pi_queue::is_about_others_than(const futex_key& key) {
    for (const pi_waiter& each : _waiters) {
        if (each.key != key) {
            return true;
        }
    }
    return false;
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

i32 pi_queue::urgency(const pi_waiter& waiter) {
    return urgency(waiter, 0);
}

i32 pi_queue::urgency(const pi_waiter& waiter, u32 depth) {
    i32 most = waiter.priority;
    if (depth == deepest_inheritance) {
        return most;
    }
    for (const pi_waiter& each : _waiters) {
        if (each.owner == waiter.waiting) {
            most = std::max(most, urgency(each, depth + 1));
        }
    }
    return most;
}

}  // namespace kiln

#include "drivers/block/request_slots.hh"

#include <algorithm>
#include <bit>
#include <span>

#include "core/park.hh"

namespace kiln {

void request_slots::init(u32 count) {
    _count = std::min(count, most);
    _free = _count == most ? ~u64{0} : (u64{1} << _count) - 1;
}

bool request_slots::try_take(u32& number) {
    irq_guard guard(_lock);
    if (_free == 0) {
        return false;
    }
    number = static_cast<u32>(std::countr_zero(_free));
    _free &= _free - 1;
    slot& taken = _slots[number];
    taken.waiter = &current_thread();
    taken.how = outcome::none;
    taken.done.store(false, std::memory_order_relaxed);
    return true;
}

u32 request_slots::take() {
    u32 number = 0;
    // Not interruptible and without a deadline, so it only ends with a number.
    (void)wait_until(
        _room, [&] { return try_take(number); }, never, wait_mode::uninterruptible, true);
    return number;
}

void request_slots::answer(slot& finished, outcome how) {
    finished.how = how;
    finished.done.store(true, std::memory_order_release);
    unpark(*finished.waiter);
}

bool request_slots::finish(u32 number, outcome how) {
    irq_guard guard(_lock);
    if (number >= _count || _slots[number].done.load(std::memory_order_relaxed)) {
        return false;
    }
    answer(_slots[number], how);
    return true;
}

void request_slots::finish_all(outcome how) {
    irq_guard guard(_lock);
    for (slot& each : std::span(_slots).first(_count)) {
        if (!each.done.load(std::memory_order_relaxed)) {
            answer(each, how);
        }
    }
}

bool request_slots::in_flight(u32 number) const {
    return number < _count && !_slots[number].done.load(std::memory_order_acquire);
}

bool request_slots::wait(u32 number, u64 deadline) {
    while (!_slots[number].done.load(std::memory_order_acquire)) {
        if (deadline != never && now() >= deadline) {
            return false;
        }
        park(deadline);
    }
    return true;
}

void request_slots::release(u32 number) {
    {
        irq_guard guard(_lock);
        _slots[number].done.store(true, std::memory_order_relaxed);
        _free |= u64{1} << number;
    }
    _room.wake();
}

}  // namespace kiln

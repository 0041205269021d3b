// Requests in flight of a device that answers by number: who waits for which one, and how it ended.
//
//   number = slots.take() → give the device a request with that number → slots.wait(number, …)
//   → slots.release(number);   from the interrupt handler: slots.finish(number, outcome)
//
// A number that is not in flight is refused, so that a device that makes numbers up wakes nobody.
// Lock: the class' own irq_spinlock, innermost but for the run queues'.
// Context: finish and finish_all from any, the others from threads that hold no spin lock.
#pragma once

#include <atomic>

#include "core/spinlock.hh"
#include "core/wait_queue.hh"
#include "lib/types.hh"

namespace kiln {

class request_slots : noncopyable {
public:
    static constexpr u32 most = 64;

    enum class outcome : u8 {
        none,
        good,
        failed,  // the device says so
        again,   // the device was reset meanwhile: nobody knows
    };

    // Before the first use; at most `most`.
    void init(u32 count);
    u32 count() const { return _count; }

    // A number that nobody else has; waits for one.
    u32 take();
    // False when `number` is not in flight.
    bool finish(u32 number, outcome how);
    // Ends everything in flight.
    void finish_all(outcome how);
    bool in_flight(u32 number) const;

    // Sleeps until the request is finished (true) or the deadline has passed.
    bool wait(u32 number, u64 deadline);
    outcome outcome_of(u32 number) const { return _slots[number].how; }
    // The number is free again. Also waits until finish() has left the slot alone.
    void release(u32 number);

private:
    struct slot {
        std::atomic<bool> done{true};
        outcome how = outcome::none;
        thread* waiter = nullptr;
    };

    bool try_take(u32& number);
    void answer(slot& finished, outcome how);

    mutable irq_spinlock _lock;
    wait_queue _room;
    u32 _count = 0;
    u64 _free = 0;  // a bit a slot
    slot _slots[most];
};

}  // namespace kiln

// One-shot timers. `fire` runs in interrupt context on the CPU that started the timer, with
// interrupts off and no timer lock held: it may only set flags, wake and unpark, queue signals, and
// restart timers. Precision is that of the hardware timer; a timer never fires early.
#pragma once

#include "core/clock.hh"
#include "lib/tree.hh"

namespace kiln {

struct timer : noncopyable {
    using fire_function = void (*)(timer& expired);

    constexpr explicit timer(fire_function function) : fire(function) {}
    // Must not be pending when it is destroyed: cancel first.

    fire_function fire;
    u64 deadline = never;
    u32 cpu = 0;
    tree_node node;
};

// (Re)starts the timer for an absolute time in nanoseconds since boot. Context: any.
void start_timer(timer& which, u64 deadline);

// Returns whether it was pending. After it returns `fire` is not running (so do not call it from
// `fire` itself, nor holding a lock that `fire` takes). Context: thread.
bool cancel_timer(timer& which);

}  // namespace kiln

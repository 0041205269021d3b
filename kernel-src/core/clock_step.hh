// Steps of the wall clock (CLOCK_REALTIME). There is at most one, soon after boot, and forwards: the
// battery clock counts whole seconds, and the time at boot is taken for the beginning of one.
//
// Who keeps a moment of the wall clock as nanoseconds since boot listens. Lock: a sleeping one around
// the list and the calls; nothing that a listener locks may be held while one is added or removed.
// Context: threads.
#pragma once

#include "lib/list.hh"
#include "lib/types.hh"

namespace kiln {

struct step_listener : noncopyable {
    // Every moment of the wall clock comes `by` nanoseconds earlier than before.
    using step_function = void (*)(step_listener& listener, u64 by);

    constexpr explicit step_listener(step_function function) : on_step(function) {}

    step_function on_step;
    list_node link;
};

// After remove returns, on_step is not running.
void add_step_listener(step_listener& listener);
void remove_step_listener(step_listener& listener);

// From now on the wall clock is `offset` ahead of the time since boot; in arch, to which the clock
// belongs. No step when that is behind what it showed.
void step_realtime(u64 offset);
// Calls the listeners.
void tell_of_step(u64 by);

}  // namespace kiln

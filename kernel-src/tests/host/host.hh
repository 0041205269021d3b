// What tests may do to the host's stand-in for the machine (see host.cc).
#pragma once

#include "core/park.hh"
#include "lib/types.hh"

namespace kiln::host {

// Stops the kernel's clock at a time, and moves it. Waits with a deadline then end only by wake-ups.
void set_time(u64 ns);
void advance_time(u64 ns);
void use_real_time();

// How often yield() ran.
u64 yield_count();

// Makes interrupted() true for a thread, as a signal would.
void interrupt(thread& target);
void clear_interrupt();

}  // namespace kiln::host

// The one primitive on which everything that blocks is built, and the seam to the host tests
// (the kernel's scheduler implements it; tests/host implements it on pthreads).
//
// A thread has one permit. unpark gives it (and wakes the thread when it is parked); park takes it,
// waiting for it at most until the deadline. park may also return early for no reason, so callers
// always loop on a condition of their own that was set before unpark.
#pragma once

#include "core/clock.hh"
#include "lib/types.hh"

namespace kiln {

class thread;

// The thread that calls. Not in interrupt handlers.
thread& current_thread();

// Context: thread context, holding no spin lock.
void park(u64 deadline = never);

// As park, but also returns when the thread is interrupted (see below).
void park_interruptible(u64 deadline = never);

// Context: any, interrupt handlers and with spin locks held included. The thread must stay alive
// during the call: take the waiter off its queue under the queue's lock.
void unpark(thread& sleeper);

// Whether the current thread has a signal to take or has been told to exit, so that an interruptible
// wait must end. False for kernel threads.
bool interrupted();

// Lets others run; also the preemption point for long loops in the kernel. A real-time thread only
// lets more urgent ones run.
void yield();

}  // namespace kiln

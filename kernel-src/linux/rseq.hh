// Restartable sequences (rseq(2)): per-CPU critical sections of the program, which are sent to their
// abort handler when the thread was preempted, moved, or takes a signal inside one.
#pragma once

#include "arch/x86_64/trap_frame.hh"
#include "linux/task.hh"

namespace kiln {

// Before the thread goes on in the program at frame.rip: aborts an open critical section when it was
// preempted or `signal` is about to be delivered, and publishes the CPU number. A bad rseq area is
// SIGSEGV.
void update_rseq(task& self, trap_frame& frame, bool signal);

}  // namespace kiln

// The inside of the signal code, shared by its files and by process.cc. Others use linux/signal.hh.
#pragma once

#include "linux/process.hh"
#include "linux/signal.hh"

namespace kiln {

struct trap_frame;

// A queue entry with `info`, counted against RLIMIT_SIGPENDING; err::again at the limit.
// Context: thread, no spin lock.
result<queued_signal*> make_queued_signal(const signal_info& info);
// Sends to a thread, or with tid 0 to the process. err::srch: no such thread; err::again: no room for
// a queued signal. Context: thread, no spin lock.
result<void> post_signal(i32 tid, const signal_info& info);
// Frees entries that left a queue. Context: thread, no spin lock.
void free_signals(pending_signals::entry_list& freed);

// All under signal_lock:
// Adds an entry (or, when null, just the mark) to the thread's or, with a null target, the process's
// queue, and wakes who is to take it. False: it was not needed and is still the caller's.
bool queue_signal(task* target, queued_signal* entry, int signo);
// Sets or clears the thread's interrupted flag by what is pending and by the exit state.
void update_interrupted(task& which);
void set_blocked(task& which, signal_set blocked);
// A thread goes that may have been woken for signals to the process: others take them.
void redirect_process_signals(task& leaving);

// As rt_sigprocmask would, for the current thread. Takes signal_lock.
void change_mask(signal_set blocked);

// Takes the next signal of `wanted` from the thread or the process; false when there is none.
// Takes signal_lock and frees the entry.
bool take_signal(task& which, signal_set wanted, signal_info& info);

// Builds the frame for the handler on the program's stack and lets `frame` enter it (signal_frame.cc).
// err::fault when the stack cannot hold it.
result<void> enter_handler(trap_frame& frame, task& self, const signal_info& info,
                           const signal_action& action, signal_set mask_to_save);

// The altstack in use at this stack pointer?
bool on_altstack(const alternate_stack& stack, u64 sp);
result<void> change_altstack(task& self, const alternate_stack& wanted, u64 sp);

// SIGSEGV that cannot be caught twice: for a stack that holds no frame. Takes signal_lock.
void force_segv(task& self, int failed_signo);

// Prints the report on a signal that ends the program (crash_report.cc).
void report_fatal_signal(const trap_frame& frame, const task& self, const signal_info& info);

}  // namespace kiln

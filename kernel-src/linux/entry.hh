// What the architecture's entry paths call, and what the linux layer asks of the boot code.
//
// Entry paths: a system call stores its arguments in a trap_frame (number in `error`) and runs the call
// from the table, or by dispatch_syscall when that needs the whole frame. As on every path back to the
// application, user_return_work runs with interrupts on whenever the thread's interrupted flag is set;
// by then the frame is whole (vector syscall_vector), and it may be changed. Context: the application
// thread's own kernel stack, no locks held.
#pragma once

#include "arch/x86_64/trap_frame.hh"
#include "lib/types.hh"

namespace kiln {

// Runs the system call that the frame asks for, and puts the result into it.
extern "C" void dispatch_syscall(trap_frame& frame);

// Takes signals, ends the thread when the process ends, fixes up interrupted calls and rseq.
void user_return_work(trap_frame& frame);

// A fault or trap of the application that is not to be repaired: becomes a signal which cannot be
// ignored, taken by the user_return_work that follows. `code` is si_code, `address` si_addr; `trapno`
// and `error` are the CPU's, for the signal frame; CR2 is `address` where it is a page fault.
void force_fault_signal(trap_frame& frame, int signo, int code, u64 address, u64 trapno, u64 error);

// Others have run on the CPU between two instructions of the thread's: an rseq critical section must be
// aborted before it goes on. Context: the thread itself; note_cpu.
void note_preemption(struct task& preempted);
// For the scheduler: the thread is about to run on this CPU, which the rseq area must say. Context: the
// scheduler, locked, interrupts off.
void note_cpu(struct task& next, u32 cpu);

// Makes the process object and its first thread's task. The loader (mm) then fills in what it maps.
// Called once at boot, before the first application thread is made.
struct task* make_first_task();

// Provided by the boot code: the last application thread has ended. Reports over the control port and
// ends the machine as configured. `signal` 0: the process exited with `status`.
[[noreturn]] void process_exited(int status, int signal);

}  // namespace kiln

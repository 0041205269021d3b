// What ring 3 would have kept the program from: `hlt`, and turning interrupts off.
//
// `hlt` becomes SIGSEGV as on Linux, though only when the next interrupt ends it (core/tick.hh sees
// to it that one comes). Where an interrupt finds the program behind a byte that may have been one,
// the way back to the program looks closer; in doubt (data among the code, a branch that may have
// led past it) it was none, and the program goes on.
//
// Interrupts are turned on again when the program next enters the kernel; and when it does not, as
// soon as another CPU, which sees that this one takes no interrupts any more, asks it by NMI. The
// program goes on: in ring 3 a `popf` without the interrupt flag is legal and changes nothing.
// (`cli` is not, but the two cannot be told apart afterwards.) A program that loops with interrupts
// off on the only CPU is not noticed.
#pragma once

#include "arch/x86_64/trap_frame.hh"

namespace kiln {

// From interrupts.
void note_halt(const trap_frame& frame);
// From the NMI. Takes no locks.
void answer_watch(trap_frame& frame);

// Entry from the program with its interrupts off: they will be on when it goes on.
void take_interrupts_back(trap_frame& frame);
// On the way back: what is to be said and signalled of what the others have seen. Context: thread,
// no locks.
void settle_privileged(trap_frame& frame);

}  // namespace kiln

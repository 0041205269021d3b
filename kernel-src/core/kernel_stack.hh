// Stacks for threads: 16 KiB with an unmapped page below, reused after a thread's death.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

// The lowest address of a stack of kernel_stack_size bytes.
result<u64> allocate_kernel_stack();
// May be called with interrupts off; keeps the mapping for the next thread.
void release_kernel_stack(u64 bottom);

extern "C" void finish_switch();

}  // namespace kiln

// BIOS loader: what the kernel is told.
//
// Purpose: builds the hvm_start_info of the PVH boot protocol.
// Invariants: the structure and all it points to lie below low_memory_end.
// Context: 32-bit protected mode, after the memory map and the command line were read.
#pragma once

#include "layout.hh"

namespace boot {

// Writes the start info and returns its address.
u32 build_start_info(u32 memory_ranges);

}  // namespace boot

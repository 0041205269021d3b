// BIOS loader: the kernel's ELF file, from the disk into memory.
//
// Purpose: checks the file, loads its segments to their physical addresses and finds the PVH entry.
// Invariants: nothing is written outside memory that the BIOS calls usable; no value of the file is
// used before it is checked; what was loaded has the checksum that the builder wrote.
// Context: 32-bit protected mode, after read_memory_map and enable_a20.
#pragma once

#include "layout.hh"

namespace boot {

// Loads the kernel that `header` describes and returns its 32-bit entry; dies on any fault.
u32 load_kernel(const boot_header& header);

// Loads the command line to command_line_address, with a closing zero.
void load_command_line(const boot_header& header);

}  // namespace boot

// Exceptions and interrupts, seen from C++.
#pragma once

#include "arch/x86_64/trap_frame.hh"
#include "core/user.hh"

namespace kiln {

// Whether the frame is of the program's code (which runs in ring 0 too: its addresses tell).
inline bool from_program(const trap_frame& frame) {
    return frame.rip < user_end;
}

// Registers, the address and a backtrace by frame pointers on the serial console; for panics.
void print_frame(const trap_frame& frame);
void print_backtrace(u64 frame_pointer);

// Page-fault error code (Intel SDM vol. 3, 4.7).
namespace page_fault_error {
inline constexpr u64 present = 1, write = 2, fetch = 16;
}

}  // namespace kiln

// Finds the caller of a function from the call frame information in .eh_frame, as debuggers do: for
// backtraces of programs that are compiled without frame pointers.
//
// DWARF 5, section 6.4 (call frame information) and 2.5 (expressions); the Linux Standard Base's
// core specification, chapter 10.6, for .eh_frame and .eh_frame_hdr; register numbers from the
// x86-64 psABI, figure 3.36. Trusts nothing it reads, has bounded stack, allocates nothing.
// Context: any in which the view may be read.
#pragma once

#include "lib/elf_image.hh"
#include "lib/memory_view.hh"

namespace kiln {

// Registers by their DWARF number: rax rdx rcx rbx rsi rdi rbp rsp r8 … r15, and the address where
// the function goes on.
struct unwind_registers {
    static constexpr u32 rbp = 6, rsp = 7, pc = 16, count = 17;
    u64 value[count] = {};
};

enum class unwind_outcome : u8 {
    stepped,    // the registers are the caller's now
    outermost,  // there is no caller
    unknown,    // no rule covers the address, or one that cannot be followed
};

// `exact`: pc is the instruction that was interrupted, not the return address of a call. On return
// it says so for the caller: true behind the frame of a signal.
unwind_outcome unwind_step(const memory_view& memory, const elf_image& image,
                           unwind_registers& registers, bool& exact);

}  // namespace kiln

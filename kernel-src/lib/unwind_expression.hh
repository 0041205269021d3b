// DWARF expressions in unwind tables: PLT entries and signal frames have them. Internal to the
// unwinder.
#pragma once

#include "lib/unwind.hh"

namespace kiln {

// Evaluates the expression (its length, then its operations) at `place`, beginning with *initial on
// the stack if given. False when it cannot be followed.
bool evaluate_expression(const memory_view& memory, u64 place, const unwind_registers& registers,
                         const u64* initial, u64& value);

}  // namespace kiln

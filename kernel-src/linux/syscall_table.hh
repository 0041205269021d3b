// The system-call table, as the entry path uses it.
#pragma once

#include "lib/types.hh"

namespace kiln {

inline constexpr u32 syscall_limit = 451;

// Says where entry.S finds each call; once, before the first program runs. With `traced` every call
// is written to the kernel log with its arguments and its result; without, that costs nothing.
void fill_syscall_targets(bool traced);

}  // namespace kiln

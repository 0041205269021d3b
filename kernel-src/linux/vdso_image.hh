// Maps the vDSO with its data page for the program. Context: threads, before the program runs.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

// The address of the vDSO's ELF header (AT_SYSINFO_EHDR).
result<u64> map_vdso(u64 stack_top);

}  // namespace kiln

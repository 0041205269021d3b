// The segment bases that matter in long mode. FS is the program's thread pointer, GS the kernel's own
// per-CPU pointer, which nobody may change (ARCH_SET_GS is refused).
#pragma once

#include "lib/types.hh"

namespace kiln {

// Of the current application thread.
u64 get_fs_base();
// `base` is below user_end (checked by the caller: a non-canonical value would fault).
void set_fs_base(u64 base);

}  // namespace kiln

// The kernel's half of the address space. There is one set of page tables for everything; CR3 is
// loaded once. The program has everything below core/user.hh's user_end.
#pragma once

#include "lib/types.hh"

namespace kiln::layout {

// All of physical memory, not executable (phys_to_virt).
inline constexpr u64 direct_map = 0xffff'8000'0000'0000;
inline constexpr u64 direct_map_size = u64{64} << 40;
// Kernel mappings made at run time: guarded stacks, device registers.
inline constexpr u64 dynamic_start = 0xffff'c000'0000'0000;
inline constexpr u64 dynamic_end = 0xffff'd000'0000'0000;
// The array of `page` descriptors, mapped piece by piece.
inline constexpr u64 page_array = 0xffff'ea00'0000'0000;
// The kernel image: physical address + image_base.
inline constexpr u64 image_base = 0xffff'ffff'8000'0000;

}  // namespace kiln::layout

// Physical memory of the host tests: an arena that the kernel's own page allocator hands out.
#pragma once

#include "core/page.hh"

namespace kiln::host {

inline constexpr u64 memory_size = u64{256} << 20;

// A top-level page table of its own, for an address space under test. Freed with drop_page_reference
// of its page.
u64* make_root_table();
void free_root_table(u64* root);

// How often flush_tlb ran.
u64 tlb_flushes();

}  // namespace kiln::host

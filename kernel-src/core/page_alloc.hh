// Boot-time side of the page allocator (core/page.hh): where memory is.
#pragma once

#include "lib/types.hh"

namespace kiln {

// Hands a range of usable physical memory to the allocator; whole pages only. Before any allocation.
void add_memory(u64 start, u64 end);

// What arch (and the host tests) provide: makes the descriptors of `count` frames from `first` usable
// and zero. `spare` yields physical pages for descriptors and page tables.
void map_page_descriptors(u64 first_frame, usize count, u64 (*spare)());
bool page_descriptors_mapped(u64 first_frame);

}  // namespace kiln

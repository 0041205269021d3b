// The kernel heap, which stands behind operator new and delete; see heap.cc.
#pragma once

#include "lib/types.hh"

namespace kiln {

// Before the first allocation.
void heap_init();

// Memory of at least `size` bytes, aligned to 16 (or to `alignment`, at most a page) and not cleared;
// null when there is none after reclaim. Context: threads, holding no spin lock.
[[nodiscard]] void* heap_allocate(usize size);
[[nodiscard]] void* heap_allocate(usize size, usize alignment);
// Null is allowed. Context: threads.
void heap_release(void* object);

}  // namespace kiln

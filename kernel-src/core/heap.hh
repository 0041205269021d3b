// The kernel heap behind operator new and delete; see heap.cc.
#pragma once

namespace kiln {

// Before the first allocation.
void heap_init();

}  // namespace kiln

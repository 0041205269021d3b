// Addresses as devices know them. There is no IOMMU in use: a device sees physical memory.
#pragma once

#include <cstddef>

#include "lib/types.hh"

namespace kiln {

// Physical address of memory in the direct map or of the kernel image. The host tests give the
// address itself.
u64 dma_address(const void* memory);
// The memory at such an address, for drivers that copy.
std::byte* dma_memory(u64 address);

}  // namespace kiln

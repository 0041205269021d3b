// kernel only
#include "drivers/dma.hh"

#include "core/page.hh"

namespace kiln {

u64 dma_address(const void* memory) {
    return virt_to_phys(memory);
}

std::byte* dma_memory(u64 address) {
    return static_cast<std::byte*>(phys_to_virt(address));
}

}  // namespace kiln

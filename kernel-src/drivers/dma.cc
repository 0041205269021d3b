// kernel only
#include "drivers/dma.hh"

#include "core/page.hh"

namespace kiln {

u64 dma_address(const void* memory) {
    return virt_to_phys(memory);
}

}  // namespace kiln

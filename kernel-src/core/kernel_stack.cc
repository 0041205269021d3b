// kernel only: kernel mappings.
//
// Free stacks are a linked list through their own first word. Lock: `lock` (irq).
#include "core/kernel_stack.hh"

#include <bit>

#include "arch/x86_64/machine.hh"
#include "core/page.hh"
#include "core/sched.hh"

namespace kiln {
namespace {

constinit irq_spinlock lock;
constinit u64 first_free = 0;

u64 take_free() {
    irq_guard guard(lock);
    const u64 bottom = first_free;
    if (bottom != 0) {
        first_free = *reinterpret_cast<u64*>(bottom);
    }
    return bottom;
}

}  // namespace

result<u64> allocate_kernel_stack() {
    if (const u64 bottom = take_free(); bottom != 0) {
        return bottom;
    }
    constexpr usize pages = kernel_stack_size / page_size;
    const u64 area = TRY(reserve_dynamic(kernel_stack_size + page_size)) + page_size;
    // One block, so that a buffer on a stack is contiguous for a device.
    page* block = TRY(alloc_pages(std::bit_width(pages - 1)));
    for (usize i = 0; i < pages; ++i) {
        TRY(map_kernel_page(area + i * page_size, page_to_phys(*block) + i * page_size,
                            kernel_mapping::data));
    }
    return area;
}

void release_kernel_stack(u64 bottom) {
    irq_guard guard(lock);
    *reinterpret_cast<u64*>(bottom) = first_free;
    first_free = bottom;
}

}  // namespace kiln

// Physical pages. One `page` describes one 4 KiB frame; its contents are reached through the direct
// map. Descriptors of memory that was never handed out do not exist yet (no array over all of memory
// is touched at boot).
//
// A page is owned by whoever allocated it; sharing is by its reference count. The fields below
// `references` belong to the owner (page cache, slab, network buffers …) while it holds the page.
// Context of alloc/free: any but NMI (allocation with wait may sleep and reclaim).
#pragma once

#include <atomic>

#include "lib/list.hh"
#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

class vm_object;

struct page : noncopyable {
    enum flag : u32 {
        dirty = 1u << 0,
        up_to_date = 1u << 1,
        referenced = 1u << 2,
        slab = 1u << 3,
        in_buddy = 1u << 4,
    };

    std::atomic<u32> references{0};
    std::atomic<u32> flags{0};
    u32 order = 0;               // of the block that this page heads
    u32 owner_word = 0;
    void* owner = nullptr;       // e.g. the vm_object of the page cache
    u64 index = 0;               // e.g. the page number in the file
    list_node link;              // buddy free list, reclaim list, …

    bool has(flag wanted) const { return (flags.load(std::memory_order_acquire) & wanted) != 0; }
    void set(flag wanted) { flags.fetch_or(wanted, std::memory_order_acq_rel); }
    void clear(flag wanted) { flags.fetch_and(~wanted, std::memory_order_acq_rel); }
};
static_assert(sizeof(page) == 48);

enum class alloc_mode : u8 {
    wait,    // may reclaim and sleep; fails only when memory is really out
    nowait,  // fails rather than sleeps
    atomic,  // as nowait, and may use the reserve for drivers
};

// 2^order contiguous pages, with one reference on the first, contents undefined.
result<page*> alloc_pages(u32 order, alloc_mode mode = alloc_mode::wait);
inline result<page*> alloc_page(alloc_mode mode = alloc_mode::wait) { return alloc_pages(0, mode); }
// One page of zeros.
result<page*> alloc_zeroed_page(alloc_mode mode = alloc_mode::wait);

inline void add_page_reference(page& shared) {
    shared.references.fetch_add(1, std::memory_order_relaxed);
}
// Frees the block when this was the last reference.
void drop_page_reference(page& shared);

// Physical address of the frame, and the frame of an address that alloc_pages has handed out.
u64 page_to_phys(const page& frame);
page& phys_to_page(u64 address);

// The direct map: kernel-visible address of physical memory, readable and writable, never executable.
void* phys_to_virt(u64 address);
u64 virt_to_phys(const void* address);
inline void* page_data(const page& frame) { return phys_to_virt(page_to_phys(frame)); }

struct memory_figures {
    u64 total_pages;
    u64 free_pages;
};
memory_figures memory_now();

}  // namespace kiln

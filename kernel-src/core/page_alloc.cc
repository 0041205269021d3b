// The page allocator: a buddy system that takes memory in bit by bit.
//
// Memory starts as ranges of which nothing is known but where they are. When the buddy lists are
// empty, one chunk (4 MiB) is taken in: its descriptors are mapped and zeroed, its pages freed into
// the lists. So a machine with much memory boots as fast as one with little.
//
// Invariants: a free block of order n is aligned to its size, its first page has `in_buddy` and is on
// free_lists[n]; `free_count` counts free pages, those not taken in yet included.
// Lock: `lock` (irq), innermost but for page tables of the kernel at boot. Context: any but NMI.
#include "core/page_alloc.hh"

#include <algorithm>

#include "core/log.hh"
#include "core/page.hh"
#include "core/reclaim.hh"
#include "core/spinlock.hh"
#include "lib/assert.hh"

namespace kiln {
namespace {

constexpr u32 max_order = 10;
constexpr u64 chunk_pages = u64{1} << max_order;
constexpr u64 chunk_bytes = chunk_pages * page_size;
// Kept for allocations that must not fail for want of a moment to reclaim.
constexpr u64 atomic_reserve_pages = 64;
constexpr usize max_ranges = 32;

struct memory_range {
    u64 start;
    u64 end;
};

struct page_allocator {
    irq_spinlock lock;
    list<page, &page::link> free_lists[max_order + 1];
    memory_range ranges[max_ranges]{};
    usize range_count = 0;
    u64 total_count = 0;
    u64 free_count = 0;
};

constinit page_allocator allocator;

u64 frame_of(const page& head) {
    return page_to_phys(head) >> page_shift;
}

page& page_of_frame(u64 frame) {
    return phys_to_page(frame << page_shift);
}

void link_block(page& head, u32 order) {
    head.order = order;
    head.set(page::in_buddy);
    allocator.free_lists[order].push_front(head);
}

void unlink_block(page& head) {
    allocator.free_lists[head.order].remove(head);
    head.clear(page::in_buddy);
}

// Whether the buddy of a block is a free block of the same order. Its descriptor exists whenever that
// of the block does, because both lie in one chunk.
bool buddy_is_free(u64 buddy_frame, u32 order) {
    page& buddy = page_of_frame(buddy_frame);
    return buddy.has(page::in_buddy) && buddy.order == order;
}

void insert_block(u64 frame, u32 order) {
    while (order < max_order) {
        const u64 buddy = frame ^ (u64{1} << order);
        if (!buddy_is_free(buddy, order)) {
            break;
        }
        unlink_block(page_of_frame(buddy));
        frame &= ~(u64{1} << order);
        ++order;
    }
    link_block(page_of_frame(frame), order);
}

// A page from the end of the last range; for descriptors and their page tables.
u64 take_spare_page() {
    while (allocator.range_count > 0) {
        memory_range& last = allocator.ranges[allocator.range_count - 1];
        if (last.start < last.end) {
            last.end -= page_size;
            --allocator.free_count;
            return last.end;
        }
        --allocator.range_count;
    }
    panic("out of memory while describing memory");
}

void insert_range(u64 frame, u64 end) {
    while (frame < end) {
        u32 order = max_order;
        while (!is_aligned(frame, u64{1} << order) || frame + (u64{1} << order) > end) {
            --order;
        }
        insert_block(frame, order);
        frame += u64{1} << order;
    }
}

// Takes in the next chunk, or what a range has of it.
bool take_in_chunk() {
    for (usize i = 0; i < allocator.range_count; ++i) {
        memory_range& range = allocator.ranges[i];
        if (range.start >= range.end) {
            continue;
        }
        const u64 chunk = align_down(range.start, chunk_bytes);
        if (!page_descriptors_mapped(chunk >> page_shift)) {
            map_page_descriptors(chunk >> page_shift, chunk_pages, take_spare_page);
        }
        const u64 start = range.start;
        const u64 end = std::min(range.end, chunk + chunk_bytes);
        if (start >= end) {
            continue;
        }
        range.start = end;
        insert_range(start >> page_shift, end >> page_shift);
        return true;
    }
    return false;
}

page* take_block(u32 order) {
    for (u32 found = order; found <= max_order; ++found) {
        page* head = allocator.free_lists[found].front();
        if (head == nullptr) {
            continue;
        }
        unlink_block(*head);
        const u64 frame = frame_of(*head);
        while (found > order) {
            --found;
            link_block(page_of_frame(frame + (u64{1} << found)), found);
        }
        return head;
    }
    return nullptr;
}

page* try_allocate(u32 order, alloc_mode mode) {
    irq_guard guard(allocator.lock);
    const u64 count = u64{1} << order;
    const u64 reserve = mode == alloc_mode::atomic ? 0 : atomic_reserve_pages;
    if (allocator.free_count < count + reserve) {
        return nullptr;
    }
    page* head = take_block(order);
    while (head == nullptr && take_in_chunk()) {
        head = take_block(order);
    }
    if (head == nullptr) {
        return nullptr;
    }
    allocator.free_count -= count;
    head->order = order;
    head->owner = nullptr;
    head->flags.store(0, std::memory_order_relaxed);
    head->references.store(1, std::memory_order_release);
    return head;
}

}  // namespace

void add_memory(u64 start, u64 end) {
    start = align_up(start, page_size);
    end = align_down(end, page_size);
    if (start >= end || allocator.range_count == max_ranges) {
        return;
    }
    allocator.ranges[allocator.range_count++] = {start, end};
    allocator.total_count += (end - start) >> page_shift;
    allocator.free_count += (end - start) >> page_shift;
}

result<page*> alloc_pages(u32 order, alloc_mode mode) {
    if (order > max_order) {
        return err::nomem;
    }
    for (;;) {
        if (page* head = try_allocate(order, mode)) {
            note_free_pages(allocator.free_count, allocator.total_count);
            return head;
        }
        if (mode != alloc_mode::wait || !reclaim_pages(u64{1} << order)) {
            return err::nomem;
        }
    }
}

result<page*> alloc_zeroed_page(alloc_mode mode) {
    page* made = TRY(alloc_pages(0, mode));
    __builtin_memset(page_data(*made), 0, page_size);
    return made;
}

void drop_page_reference(page& shared) {
    const u32 before = shared.references.fetch_sub(1, std::memory_order_acq_rel);
    KILN_DEBUG_ASSERT(before != 0);
    if (before != 1) {
        return;
    }
    irq_guard guard(allocator.lock);
    KILN_DEBUG_ASSERT(!shared.has(page::in_buddy));
    const u32 order = shared.order;
    allocator.free_count += u64{1} << order;
    insert_block(frame_of(shared), order);
}

memory_figures memory_now() {
    irq_guard guard(allocator.lock);
    return {allocator.total_count, allocator.free_count};
}

}  // namespace kiln

// The page cache of one file (or of a block device): its pages by number, read in on demand.
//
// A page in the cache is referenced by the cache once and by each mapping and running copy. Pages are
// entered before they are read and marked up_to_date after; who needs one meanwhile waits.
// Locks: `_lock`, a spin lock, guards the tree of pages; the global list of reclaimable pages has its
// own, taken inside. No lock is held while reading from a device or copying to users.
// Context: threads.
#pragma once

#include <span>

#include "core/spinlock.hh"
#include "core/wait_queue.hh"
#include "mm/page_tree.hh"
#include "mm/vm_object.hh"

namespace kiln {

class io_vector;

class page_cache : public vm_object {
public:
    ~page_cache() override;

    result<page*> get_page(u64 index, bool for_write) override;
    page* peek_page(u64 index) override;
    u64 size() const override { return _size.load(std::memory_order_acquire); }

    void set_size(u64 size) { _size.store(size, std::memory_order_release); }

    // File bytes to `to`, at most up to the size. Returns how many; 0 at the end.
    result<usize> read(io_vector& to, u64 offset);
    result<void> read_exactly(void* to, usize length, u64 offset);

    // Pages that are there.
    u64 page_count() const { return _count; }
    // Forgets the pages [first, end) (mappings of them must be gone) and returns how many.
    u64 drop_pages(u64 first, u64 end);
    // The first page number from `index` that is there (or is not, with `present` false); `limit` when
    // there is none before it.
    u64 find_page(u64 index, u64 limit, bool present);

protected:
    // Fills new pages with the file's contents: consecutive numbers from `first`. What lies beyond
    // the size is zeroed. May sleep.
    virtual result<void> fill(u64 first, std::span<page* const> pages) = 0;
    // How many pages around `index` to read when it is missed: sets `first` and returns the count,
    // which must include index. At most max_read_ahead.
    virtual usize read_window(u64 index, u64& first);
    // A page for the cache; where it counts (tmpfs) it is charged first.
    virtual result<page*> new_page() { return alloc_page(); }
    virtual void page_freed() {}
    // Whether clean pages may be dropped when memory is short.
    virtual bool reclaimable() const { return true; }

    static constexpr usize max_read_ahead = 64;

private:
    friend struct page_reclaim;

    page* find_locked(u64 index) const { return static_cast<page*>(_pages.find(index)); }
    result<page*> wait_for(page& found);
    // Enters new pages for as much of the window as is missing around `index`; fills `made`.
    result<usize> enter_window(u64 index, u64& first, std::span<page*> made);
    result<void> read_in(u64 first, std::span<page*> made);
    void forget(u64 first, std::span<page*> made);

    spinlock _lock;
    page_tree _pages;
    u64 _count = 0;
    std::atomic<u64> _size{0};
    wait_queue _filled;
};

// Frees up to `wanted` pages that only page caches hold. Returns how many. Called by the reclaim
// thread and by allocations that may wait.
usize reclaim_page_cache(usize wanted);
// Pages in all reclaimable caches, for /proc/meminfo.
u64 page_cache_pages();

}  // namespace kiln

// The page cache of one file (or of a block device): its pages by number, read in on demand.
//
// A page in the cache is referenced by the cache once and by each mapping and running copy. Pages
// are entered before they are read and marked up_to_date after; who needs one meanwhile waits.
// Locks: `_lock`, a spin lock, guards the tree of pages; the global list of reclaimable pages has
// its own, taken inside. No lock is held while reading from a device or copying to users. Context:
// threads.
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
    bool has_holes() const { return holes_read_as_zeros(); }

    void set_size(u64 size) { _size.store(size, std::memory_order_release); }

    // File bytes to `to`, at most up to the size. Returns how many; 0 at the end.
    result<usize> read(io_vector& to, u64 offset);
    // All of `length` bytes, or err::io when the size does not allow it.
    result<void> read_exactly(void* to, usize length, u64 offset);
    // Bytes of `from` into the pages; the size is raised to the end of what went in. The file's
    // writers exclude each other. Returns how many; an error only when none did.
    result<usize> write(io_vector& from, u64 offset);
    result<void> zero(u64 offset, u64 length);

    // Pages that are there.
    u64 page_count() const { return _count.load(std::memory_order_relaxed); }
    // Forgets the pages [first, end) and takes them out of mappings. Returns how many there were.
    u64 drop_pages(u64 first, u64 end);
    // The first page number from `index` on that is there (`present`) or is not; `limit` when there
    // is none before it.
    u64 find_page(u64 index, u64 limit, bool present);
    // Makes the page exist whatever the size is (fallocate).
    result<void> make_page(u64 index);

protected:
    // Fills new pages with the file's contents: consecutive numbers from `first`. What lies beyond
    // the size is zeroed. May sleep.
    virtual result<void> fill(u64 first, std::span<page* const> pages) = 0;
    // How many pages around `index` to read when it is missed: sets `first` and returns the count,
    // which must include index. At most max_read_ahead.
    virtual usize read_window(u64 index, u64& first);
    // A page for the cache, contents undefined; where pages count (tmpfs) it is charged here …
    virtual result<page*> new_page() { return alloc_page(); }
    // … and discharged here.
    virtual void pages_freed(u64) {}
    // Whether clean pages may be dropped when memory is short.
    virtual bool reclaimable() const { return true; }
    // Whether reading what is not there gives zeros without making a page.
    virtual bool holes_read_as_zeros() const { return false; }

    // To be called by the destructor of each class that overrides pages_freed.
    void drop_all() { drop_pages(0, ~u64{0}); }

    static constexpr usize max_read_ahead = 64;

private:
    friend struct page_reclaim;
    struct batch;

    page* find_locked(u64 index) const;
    result<page*> obtain(u64 index);
    // Waits until somebody else has read the page; null when that failed.
    page* wait_for(page& found);
    result<page*> read_missing(u64 index);
    result<void> choose(u64 index, batch& made, bool alone);
    result<bool> read_window_of(u64 index, batch& made, bool alone);
    result<void> enter(u64 index, batch& made);
    usize enter_locked(u64 index, batch& made, page_tree::spare_nodes& spares);
    void give_back(batch& made, usize keep);
    void publish(batch& made);
    void forget(batch& made);
    result<page*> page_for_reading(u64 index);

    spinlock _lock;
    page_tree _pages;
    std::atomic<u64> _count{0};
    std::atomic<u64> _size{0};
    wait_queue _filled;
};

// Frees up to `wanted` pages that only page caches hold. Returns how many. Called by the reclaim
// thread and by allocations that may wait.
usize reclaim_page_cache(usize wanted);
// Pages in all reclaimable caches, for /proc/meminfo.
u64 page_cache_pages();

}  // namespace kiln

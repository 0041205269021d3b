// What the address space gives back when memory is short: mappings of clean file pages, so that the
// page cache can drop them. Private and dirtied pages stay; there is no swap.
#include "core/reclaim.hh"

#include "mm/address_space.hh"
#include "mm/reaper.hh"

namespace kiln {
namespace {

bool is_clean_file_page(const vma& area, u64 entry) {
    return entry_present(entry) &&
           (entry & (pte::private_page | pte::unowned | pte::writable | pte::large)) == 0 &&
           area.object && !area.has(vma_flag::locked);
}

}  // namespace

// Goes round like the hand of a clock: a page that was used since the last round is marked unused, one
// that was not is unmapped. Never waits for the lock: the caller may be a fault that holds it.
u64 address_space::unmap_clean_pages(u64 wanted) {
    if (!_lock.try_lock()) {
        return 0;
    }
    u64 unmapped = 0;
    {
        page_reaper reaper;
        for (int round = 0; round < 3 && unmapped < wanted; ++round) {
            for (vma* area = first_ending_after(_reclaim_hand); area != nullptr && unmapped < wanted;
                 area = vma_tree::next(*area)) {
                unmapped += unmap_clean_pages_of(*area, wanted - unmapped, reaper);
            }
            if (unmapped < wanted) {
                _reclaim_hand = 0;
            }
        }
    }
    _lock.unlock();
    return unmapped;
}

u64 address_space::unmap_clean_pages_of(vma& area, u64 wanted, page_reaper& reaper) {
    if (!area.object || area.has(vma_flag::locked)) {
        return 0;
    }
    u64 unmapped = 0;
    const u64 start = std::max(area.start, _reclaim_hand);
    _table.for_each_leaf(start, area.end, [&](u64* slot, u64 address, unsigned level) {
        const u64 entry = read_entry(slot);
        if (unmapped >= wanted || !is_clean_file_page(area, entry)) {
            return;
        }
        _reclaim_hand = address + page_size;
        if ((entry & pte::accessed) != 0) {
            exchange_entry(slot, entry & ~pte::accessed);
            reaper.touch(address, address + page_size);
            return;
        }
        exchange_entry(slot, 0);
        count_resident(entry, level, -1);
        reaper.add(entry, address, level);
        ++unmapped;
    });
    return unmapped;
}

}  // namespace kiln

// Changing areas in place: mprotect, and flags set by madvise and mlock.
#include "mm/address_space.hh"
#include "mm/reaper.hh"

namespace kiln {

// Visits the areas that lie in [start, end), which the range's ends do not cut. err::nomem when the
// range has holes; the areas before the hole have been visited then.
template <class Visit>
result<void> address_space::for_areas_in(u64 start, u64 end, Visit visit) {
    u64 reached = start;
    for (vma* area = first_ending_after(start); area != nullptr && area->start < end;
         area = vma_tree::next(*area)) {
        if (area->start > reached) {
            return err::nomem;
        }
        TRY(visit(*area));
        reached = area->end;
    }
    return reached >= end ? result<void>() : err::nomem;
}

// Splits at both ends, changes what lies between, and merges again.
template <class Change>
result<void> address_space::change_areas(u64 start, u64 end, dead_areas& dead, Change change) {
    TRY(split_areas_at(start));
    TRY(split_areas_at(end));
    const result<void> outcome = for_areas_in(start, end, [&](vma& area) -> result<void> {
        TRY(change(area));
        return {};
    });
    merge_range(start, end, dead);
    return outcome.ok() ? result<void>() : outcome.error();
}

void address_space::apply_protection(const vma& area, u64 start, u64 end, page_reaper& reaper) {
    if (_table.split_ends(start, end)) {
        reaper.touch(start, end);
    }
    _table.for_each_leaf(start, end, [&](u64* slot, u64 address, unsigned level) {
        const u64 entry = read_entry(slot);
        // A page of the object stays write-protected until a fault has copied or dirtied it.
        const bool writable = (entry & pte::private_page) != 0 ||
                              (area.is_shared() && (entry & pte::writable) != 0);
        constexpr u64 changing = pte::present | pte::writable | pte::no_execute;
        const u64 wanted = leaf_bits(area.protection, writable);
        if (((entry ^ wanted) & changing) == 0) {
            return;
        }
        exchange_entry(slot, (entry & ~changing) | wanted);
        if (entry_present(entry)) {
            reaper.touch(address, address + page_table::span_of(level));
        }
    });
}

result<void> address_space::protect(u64 start, u64 length, u32 protection, bool downwards) {
    length = align_up(length, page_size);
    if (!is_aligned(start, page_size)) {
        return err::inval;
    }
    if (length == 0) {
        return {};
    }
    if (start > user_end || length > user_end - start) {
        return err::nomem;
    }
    const u64 end = start + length;
    dead_areas dead;
    lock_guard guard(_lock);
    if (downwards) {
        const vma* area = area_at(start);
        if (area == nullptr) {
            return err::nomem;
        }
        if (!area->has(vma_flag::grows_down)) {
            return err::inval;
        }
        start = area->start;
    }
    page_reaper reaper;
    return change_areas(start, end, dead, [&](vma& area) -> result<void> {
        if ((protection & ~area.max_protection) != 0) {
            return err::acces;
        }
        const u64 pages = area.size() >> page_shift;
        const bool becomes_writable = (protection & prot::write) != 0 && !area.is_shared() &&
                                      (area.protection & prot::write) == 0;
        if (becomes_writable && (pages > memory_now().total_pages && !area.has(vma_flag::no_reserve))) {
            return err::nomem;
        }
        if (becomes_writable && _private_writable + pages > limits.data.load() >> page_shift) {
            return err::nomem;
        }
        count(area, -1);
        area.protection = protection;
        count(area, 1);
        apply_protection(area, area.start, area.end, reaper);
        return {};
    });
}

result<void> address_space::change_flags(u64 start, u64 length, u32 set, u32 clear,
                                         bool (*allowed)(const vma&)) {
    length = align_up(length, page_size);
    if (start > user_end || length > user_end - start) {
        return err::nomem;
    }
    dead_areas dead;
    lock_guard guard(_lock);
    return change_areas(start, start + length, dead, [&](vma& area) -> result<void> {
        if (allowed != nullptr && !allowed(area)) {
            return err::inval;
        }
        count(area, -1);
        area.flags = (area.flags & ~clear) | set;
        count(area, 1);
        return {};
    });
}

result<void> address_space::discard(u64 start, u64 length, bool locked_too) {
    length = align_up(length, page_size);
    if (start > user_end || length > user_end - start) {
        return err::nomem;
    }
    const u64 end = start + length;
    lock_guard guard(_lock);
    page_reaper reaper;
    u64 reached = start;
    bool holes = false;
    for (vma* area = first_ending_after(start); area != nullptr && area->start < end;
         area = vma_tree::next(*area)) {
        if ((area->has(vma_flag::locked) && !locked_too) || area->has(vma_flag::fixed_pages)) {
            return err::inval;
        }
        holes |= area->start > reached;
        zap(*area, std::max(start, area->start), std::min(end, area->end), reaper);
        reached = area->end;
    }
    return holes || reached < end ? err::nomem : result<void>();
}

void address_space::forget_object_pages(vm_object& object, u64 first, u64 count_) {
    if (object.mappings.load(std::memory_order_acquire) == 0) {
        return;
    }
    lock_guard guard(_lock);
    page_reaper reaper;
    for (vma* area = _areas.first(); area != nullptr; area = vma_tree::next(*area)) {
        if (area->object != &object) {
            continue;
        }
        const u64 area_first = area->offset >> page_shift;
        const u64 area_pages = area->size() >> page_shift;
        const u64 from = std::max(first, area_first);
        const u64 until = std::min(count_ > ~u64{0} - first ? ~u64{0} : first + count_,
                                   area_first + area_pages);
        if (from < until) {
            zap(*area, area->start + ((from - area_first) << page_shift),
                area->start + ((until - area_first) << page_shift), reaper);
        }
    }
}

}  // namespace kiln

// mlock, residency, and what /proc shows of an area's pages.
#include "mm/address_space.hh"

namespace kiln {

// There is no swap: what is locked must only be faulted in, and is kept from reclaim.
result<void> address_space::lock_range(u64 start, u64 length, bool on_fault) {
    const u64 first = align_down(start, page_size);
    const u64 bytes = align_up(length + (start - first), page_size);
    if (length == 0) {
        return {};
    }
    if (bytes == 0 || first + bytes < first) {
        return err::inval;
    }
    TRY(change_flags(first, bytes,
                     vma_flag::locked | (on_fault ? vma_flag::lock_on_fault : 0u),
                     on_fault ? 0 : vma_flag::lock_on_fault));
    if (on_fault) {
        return {};
    }
    const result<void> filled = populate(first, bytes, false);
    // What cannot be touched cannot be filled in: Linux says ENOMEM for it.
    return filled.ok() ? filled : err::nomem;
}

result<void> address_space::unlock_range(u64 start, u64 length) {
    const u64 first = align_down(start, page_size);
    const u64 bytes = align_up(length + (start - first), page_size);
    if (length == 0) {
        return {};
    }
    if (bytes == 0 || first + bytes < first) {
        return err::inval;
    }
    return change_flags(first, bytes, 0, vma_flag::locked | vma_flag::lock_on_fault);
}

result<void> address_space::lock_all(bool current, bool future, bool on_fault) {
    const u32 flags = vma_flag::locked | (on_fault ? vma_flag::lock_on_fault : 0u);
    {
        lock_guard guard(_lock);
        _future_flags = future ? flags : 0;
        for (vma* area = _areas.first(); current && area != nullptr; area = vma_tree::next(*area)) {
            count(*area, -1);
            area->flags = (area->flags & ~vma_flag::lock_on_fault) | flags;
            count(*area, 1);
        }
    }
    for (u64 at = 0; current && !on_fault && at < user_end;) {
        u64 start = 0;
        u64 end = 0;
        {
            shared_guard guard(_lock);
            const vma* area = first_ending_after(at);
            if (area == nullptr) {
                break;
            }
            start = area->start;
            end = area->end;
        }
        static_cast<void>(populate(start, end - start, false));
        at = end;
    }
    return {};
}

void address_space::unlock_all() {
    lock_guard guard(_lock);
    _future_flags = 0;
    for (vma* area = _areas.first(); area != nullptr; area = vma_tree::next(*area)) {
        count(*area, -1);
        area->flags &= ~(vma_flag::locked | vma_flag::lock_on_fault);
        count(*area, 1);
    }
}

// As mincore: pages of a file count when they are in the page cache, mapped here or not.
result<void> address_space::residency(u64 start, std::span<u8> pages) {
    shared_guard guard(_lock);
    for (usize i = 0; i < pages.size(); ++i) {
        const u64 address = start + i * page_size;
        const vma* area = area_at(address);
        if (area == nullptr) {
            return err::nomem;
        }
        const page_table::place where = _table.find(address);
        pages[i] = where.slot != nullptr && read_entry(where.slot) != 0 ? 1 : 0;
        if (pages[i] == 0 && area->object) {
            if (page* cached = area->object->peek_page(area->page_index(address))) {
                drop_page_reference(*cached);
                pages[i] = 1;
            }
        }
    }
    return {};
}

address_space::residence address_space::residence_of(const vma& area) const {
    residence figures;
    _table.for_each_leaf(area.start, area.end, [&](u64* slot, u64 address, unsigned level) {
        const u64 entry = read_entry(slot);
        if ((entry & pte::unowned) != 0) {
            return;
        }
        const u64 first = std::max(address, area.start);
        const u64 end = std::min<u64>(address + page_table::span_of(level), area.end);
        const u64 pages = (end - first) >> page_shift;
        if ((entry & pte::private_page) != 0) {
            figures.anonymous += pages;
            figures.huge += level == 1 ? pages : 0;
        } else {
            figures.file += pages;
            figures.file_writable += (entry & pte::writable) != 0 ? pages : 0;
        }
    });
    return figures;
}

}  // namespace kiln

// mremap: growing, shrinking and moving areas together with their pages.
#include "mm/address_space.hh"
#include "mm/reaper.hh"

namespace kiln {
namespace {

constexpr u32 may_move = 1, fixed = 2, dont_unmap = 4;

bool overlap(u64 a, u64 a_size, u64 b, u64 b_size) {
    return a < b + b_size && b < a + a_size;
}

result<void> check_arguments(u64 old_address, u64 old_length, u64 new_length, u32 flags,
                             u64 new_address) {
    if ((flags & ~(may_move | fixed | dont_unmap)) != 0 ||
        ((flags & (fixed | dont_unmap)) != 0 && (flags & may_move) == 0) ||
        ((flags & dont_unmap) != 0 && old_length != new_length) ||
        !is_aligned(old_address, page_size) || new_length == 0) {
        return err::inval;
    }
    if ((flags & (fixed | dont_unmap)) == 0) {
        return {};
    }
    if (!is_aligned(new_address, page_size) || new_length > user_end ||
        new_address > user_end - new_length) {
        return err::inval;
    }
    return (flags & fixed) != 0 && overlap(old_address, old_length, new_address, new_length)
               ? err::inval
               : result<void>();
}

}  // namespace

result<u64> address_space::remap(u64 old_address, u64 old_length, u64 new_length, u32 flags,
                                 u64 new_address) {
    old_length = align_up(old_length, page_size);
    if (new_length != 0 && align_up(new_length, page_size) == 0) {
        return err::inval;
    }
    new_length = align_up(new_length, page_size);
    TRY(check_arguments(old_address, old_length, new_length, flags, new_address));
    dead_areas dead;
    lock_guard guard(_lock);
    if ((flags & (fixed | dont_unmap)) != 0) {
        return remap_elsewhere(old_address, old_length, new_length, flags, new_address, dead);
    }
    vma* area = area_at(old_address);
    if (area == nullptr) {
        return err::fault;
    }
    if (old_length >= new_length) {
        if (old_length > new_length) {
            TRY(unmap_locked(old_address + new_length, old_address + old_length, dead));
        }
        return old_address;
    }
    auto grown = remap_in_place(*area, old_address, old_length, new_length);
    if (grown.ok()) {
        merge_range(old_address, old_address + new_length, dead);
        return grown;
    }
    if (grown.error() != err::nomem || (flags & may_move) == 0) {
        return grown;
    }
    return remap_elsewhere(old_address, old_length, new_length, flags, 0, dead);
}

// err::nomem when there is no room behind the area.
result<u64> address_space::remap_in_place(vma& area, u64 address, u64 old_length, u64 new_length) {
    if (old_length == 0 && !area.is_shared()) {
        return err::inval;
    }
    if (old_length > area.end - address || area.has(vma_flag::fixed_pages)) {
        return err::fault;
    }
    const u64 new_end = address + new_length;
    const vma* next = vma_tree::next(area);
    if (old_length == 0 || area.end != address + old_length || new_length > user_end ||
        new_end > user_end || new_end < address || (next != nullptr && next->start < new_end)) {
        return err::nomem;
    }
    map_request growth;
    growth.length = new_length - old_length;
    growth.protection = area.protection;
    growth.flags = area.flags;
    TRY(check_limits(growth, 0));
    count(area, -1);
    area.end = new_end;
    count(area, 1);
    return address;
}

result<u64> address_space::remap_elsewhere(u64 old_address, u64 old_length, u64 new_length, u32 flags,
                                           u64 new_address, dead_areas& dead) {
    const vma* area = area_at(old_address);
    if (area == nullptr || area->has(vma_flag::fixed_pages)) {
        return err::fault;
    }
    const u64 moved = std::min(old_length, new_length);
    if (old_length > area->end - old_address) {
        return err::fault;
    }
    if ((old_length == 0 && !area->is_shared()) ||
        ((flags & dont_unmap) != 0 && (area->object || area->has(vma_flag::grows_down)))) {
        return err::inval;
    }
    auto made = TRY(make_unique<vma>());
    map_request request;
    request.address = new_address;
    request.length = new_length;
    request.protection = area->protection;
    request.flags = area->flags;
    TRY(check_limits(request, (flags & dont_unmap) != 0 ? 0 : moved >> page_shift));
    u64 target = new_address;
    if ((flags & fixed) != 0) {
        if (new_address < min_address) {
            return err::perm;
        }
        TRY(unmap_locked(new_address, new_address + new_length, dead));
    } else {
        target = TRY(find_free(request));
    }
    // Unmapping above may have cut nothing of the old range: they do not overlap.
    area = area_at(old_address);
    vma& fresh = *made.get();
    fresh.start = target;
    fresh.end = target + new_length;
    fresh.protection = area->protection;
    fresh.max_protection = area->max_protection;
    fresh.flags = area->flags;
    fresh.object = area->object;
    fresh.backing = area->backing;
    fresh.offset = area->object ? area->offset + (old_address - area->start) : 0;
    fresh.name = area->name;
    if (moved != 0) {
        TRY(move_pages(old_address, target, moved));
    }
    vma& placed = *made.leak();
    insert(placed);
    merge(placed, dead);
    if (old_length != 0 && (flags & dont_unmap) == 0) {
        // Cannot fail for want of memory: an area that has to be cut twice leaves room for one more.
        TRY(unmap_locked(old_address, old_address + old_length, dead));
    }
    return target;
}

// Moves one leaf, making tables where it goes.
result<void> address_space::move_leaf(u64* slot, unsigned level, u64 from, u64 to) {
    u64* target = TRY(_table.make_slot(to, level));
    if (level == 1 && read_entry(target) != 0) {
        // A table is there: the pages go one by one.
        _table.split_leaf(slot);
        result<void> outcome;
        _table.for_each_leaf(from, from + large_page_size, [&](u64* small, u64 at, unsigned) {
            if (outcome.ok()) {
                outcome = move_leaf(small, 0, at, to + (at - from));
            }
        });
        return outcome;
    }
    exchange_entry(target, exchange_entry(slot, 0));
    return {};
}

result<void> address_space::move_pages(u64 from, u64 to, u64 length) {
    page_reaper reaper;
    reaper.touch(from, from + length);
    _table.split_ends(from, from + length);
    if (!is_aligned(from - to, large_page_size)) {
        _table.for_each_leaf(from, from + length, [&](u64* slot, u64, unsigned level) {
            if (level == 1) {
                _table.split_leaf(slot);
            }
        });
    }
    result<void> outcome;
    _table.for_each_leaf(from, from + length, [&](u64* slot, u64 address, unsigned level) {
        if (outcome.ok()) {
            outcome = move_leaf(slot, level, address, to + (address - from));
        }
    });
    if (!outcome.ok()) {
        // Back again: the old tables are still there, so that this cannot fail.
        _table.for_each_leaf(to, to + length, [&](u64* slot, u64 address, unsigned level) {
            static_cast<void>(move_leaf(slot, level, address, from + (address - to)));
        });
        reaper.touch(to, to + length);
    }
    return outcome;
}

}  // namespace kiln

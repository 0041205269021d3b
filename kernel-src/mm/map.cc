// Making and removing areas: mmap, munmap, brk.
#include "mm/address_space.hh"
#include "mm/reaper.hh"

namespace kiln {
namespace {

bool valid_range(u64 start, u64 length) {
    return is_aligned(start, page_size) && start <= user_end && length <= user_end - start;
}

// What the areas of a range count as, in pages.
struct counted {
    u64 mapped = 0;
    u64 private_writable = 0;
};

u64 bytes_to_pages(u64 bytes) {
    return bytes >> page_shift;
}

}  // namespace

// Overcommit as Linux's mode 0: only a request that alone exceeds all of memory is refused.
result<void> address_space::check_limits(const map_request& request, u64 replaced) const {
    const u64 pages = bytes_to_pages(request.length);
    const u64 total = _mapped + pages - std::min(_mapped + pages, replaced);
    if (total > bytes_to_pages(limits.address_space.load())) {
        return err::nomem;
    }
    const bool shared = (request.flags & vma_flag::shared) != 0;
    const bool writable = (request.protection & prot::write) != 0;
    if (!shared && writable && (request.flags & vma_flag::grows_down) == 0 &&
        _private_writable + pages > bytes_to_pages(limits.data.load()) + replaced) {
        return err::nomem;
    }
    const bool accounted = (request.flags & vma_flag::no_reserve) == 0 && !shared && writable;
    if (accounted && pages > memory_now().total_pages) {
        return err::nomem;
    }
    return {};
}

result<void> address_space::unmap_locked(u64 start, u64 end, dead_areas& dead) {
    vma* area = first_ending_after(start);
    if (area == nullptr || area->start >= end) {
        return {};
    }
    TRY(split_areas_at(start));
    TRY(split_areas_at(end));
    area = first_ending_after(start);
    vma* before = area_before(area);
    const u64 floor = before == nullptr ? 0 : before->end;
    page_reaper reaper;
    while (area != nullptr && area->start < end) {
        vma* next = vma_tree::next(*area);
        zap(*area, area->start, area->end, reaper);
        take_out(*area);
        dead.add(*area);
        area = next;
    }
    const u64 ceiling = area == nullptr ? user_end + page_size : area->start;
    _table.take_empty_tables(start, end, floor, ceiling, reaper.tables());
    if (!reaper.tables().empty()) {
        reaper.touch(start, end);
    }
    note_hole(area == nullptr ? user_end : area->start);
    return {};
}

void address_space::zap(vma& area, u64 start, u64 end, page_reaper& reaper) {
    if (area.has(vma_flag::fixed_pages)) {
        _table.for_each_leaf(start, end, [&](u64* slot, u64 address, unsigned level) {
            reaper.add(exchange_entry(slot, 0), address, level);
        });
        return;
    }
    // Only leaves at the ends can reach beyond the range.
    if (_table.split_ends(start, end)) {
        reaper.touch(start, end);
    }
    _table.for_each_leaf(start, end, [&](u64* slot, u64 address, unsigned level) {
        const u64 entry = exchange_entry(slot, 0);
        count_resident(entry, level, -1);
        reaper.add(entry, address, level);
    });
}

result<u64> address_space::map(map_request request) {
    request.length = align_up(request.length, page_size);
    if (request.length == 0) {
        return err::nomem;  // it overflowed; the system call refuses 0 itself
    }
    const bool fixed = request.where != placement::anywhere;
    if (fixed && !valid_range(request.address, request.length)) {
        return is_aligned(request.address, page_size) ? err::nomem : err::inval;
    }
    auto made = TRY(make_unique<vma>());
    u64 start = 0;
    {
        dead_areas dead;
        lock_guard guard(_lock);
        start = fixed ? request.address : TRY(find_free(request));
        const u64 end = start + request.length;
        if (fixed && start < min_address) {
            return err::perm;
        }
        vma* there = first_ending_after(start);
        const bool taken = there != nullptr && there->start < end;
        if (taken && request.where == placement::fixed_noreplace) {
            return err::exist;
        }
        if (_area_count >= max_areas) {
            return err::nomem;
        }
        TRY(check_limits(request, taken ? bytes_to_pages(request.length) : 0));
        if (taken) {
            TRY(unmap_locked(start, end, dead));
        }
        vma& area = *made.leak();
        area.start = start;
        area.end = end;
        area.protection = request.protection;
        area.max_protection = request.max_protection;
        area.flags = request.flags | _future_flags;
        area.object = std::move(request.object);
        area.backing = std::move(request.backing);
        area.offset = request.offset;
        area.name = request.name;
        request.populate |= (_future_flags & vma_flag::locked) != 0 &&
                            (_future_flags & vma_flag::lock_on_fault) == 0;
        insert(area);
        merge(area, dead);
    }
    if (request.populate) {
        static_cast<void>(populate(start, request.length, false));
    }
    return start;
}

result<void> address_space::unmap(u64 start, u64 length) {
    length = align_up(length, page_size);
    if (length == 0 || !valid_range(start, length)) {
        return err::inval;
    }
    dead_areas dead;
    lock_guard guard(_lock);
    return unmap_locked(start, start + length, dead);
}

result<u64> address_space::map_fixed_pages(u64 address, std::span<const u64> physical,
                                           u32 protection, const char* name) {
    map_request request;
    request.address = address;
    request.length = physical.size() * page_size;
    request.protection = protection;
    request.max_protection = protection;
    request.flags = vma_flag::fixed_pages | vma_flag::dont_dump;
    request.where = placement::fixed_noreplace;
    request.name = name;
    TRY(map(std::move(request)));
    lock_guard guard(_lock);
    for (usize i = 0; i < physical.size(); ++i) {
        u64* slot = TRY(_table.make_slot(address + i * page_size, 0));
        exchange_entry(slot, physical[i] | pte::unowned | leaf_bits(protection, false));
    }
    return address;
}

u64 address_space::set_break(u64 wanted) {
    u64 old_end = 0;
    u64 new_end = 0;
    {
        dead_areas dead;
        lock_guard guard(_lock);
        old_end = align_up(layout.brk, page_size);
        if (wanted < layout.brk_start || wanted > user_end) {
            return layout.brk;
        }
        new_end = align_up(wanted, page_size);
        if (new_end == old_end ||
            (new_end < old_end && unmap_locked(new_end, old_end, dead).ok())) {
            layout.brk = wanted;
            return wanted;
        }
        if (new_end < old_end) {
            return layout.brk;
        }
        vma* next = first_ending_after(old_end);
        const u64 used = wanted - layout.brk_start + (layout.data_end - layout.data_start);
        if (used > limits.data.load() || (next != nullptr && next->start < new_end + page_size)) {
            return layout.brk;
        }
    }
    map_request request;
    request.address = old_end;
    request.length = new_end - old_end;
    request.protection = prot::read | prot::write;
    request.where = placement::fixed_noreplace;
    if (!map(std::move(request)).ok()) {
        return layout.brk;
    }
    lock_guard guard(_lock);
    layout.brk = wanted;
    return wanted;
}

}  // namespace kiln

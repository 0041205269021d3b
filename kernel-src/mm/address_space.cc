#include "mm/address_space.hh"

#include "mm/reaper.hh"

namespace kiln {
namespace {

constinit address_space the_space;

u64 pages_in(const vma& area) {
    return area.size() >> page_shift;
}

}  // namespace

address_space& the_address_space() {
    return the_space;
}

address_space::~address_space() {
    dead_areas dead;
    lock_guard guard(_lock);
    if (!_areas.empty()) {
        static_cast<void>(unmap_locked(0, user_end, dead));
    }
}

void address_space::count(const vma& area, i64 sign) {
    const u64 pages = pages_in(area) * static_cast<u64>(sign);
    _mapped += pages;
    _peak_mapped = std::max(_peak_mapped, _mapped);
    if (area.has(vma_flag::grows_down)) {
        _stack += pages;
    } else if (area.is_private_writable()) {
        _private_writable += pages;
    } else if ((area.protection & (prot::exec | prot::write)) == prot::exec) {
        _executable += pages;
    }
    if (area.has(vma_flag::locked)) {
        _locked += pages;
    }
    _area_count += static_cast<usize>(sign);
    if (area.object) {
        area.object->mappings.fetch_add(static_cast<u32>(sign), std::memory_order_acq_rel);
    }
}

void address_space::insert(vma& area) {
    count(area, 1);
    _areas.insert(area);
}

void address_space::take_out(vma& area) {
    count(area, -1);
    _areas.remove(area);
}

result<void> address_space::split_areas_at(u64 address) {
    vma* area = area_at(address);
    if (area == nullptr || area->start == address) {
        return {};
    }
    if (_area_count >= max_areas) {
        return err::nomem;
    }
    auto made = TRY(make_unique<vma>());
    vma& upper = *made.leak();
    upper.start = address;
    upper.end = area->end;
    upper.protection = area->protection;
    upper.max_protection = area->max_protection;
    upper.flags = area->flags;
    upper.object = area->object;
    upper.backing = area->backing;
    upper.offset = area->offset + (address - area->start);
    upper.name = area->name;
    count(*area, -1);
    area->end = address;
    count(*area, 1);
    insert(upper);
    return {};
}

vma& address_space::merge(vma& area, dead_areas& dead) {
    vma* kept = &area;
    vma* before = vma_tree::prev(area);
    if (before != nullptr && continues(*before, area)) {
        take_out(area);
        count(*before, -1);
        before->end = area.end;
        count(*before, 1);
        dead.add(area);
        kept = before;
    }
    vma* after = vma_tree::next(*kept);
    if (after != nullptr && continues(*kept, *after)) {
        take_out(*after);
        count(*kept, -1);
        kept->end = after->end;
        count(*kept, 1);
        dead.add(*after);
    }
    return *kept;
}

void address_space::merge_range(u64 start, u64 end, dead_areas& dead) {
    for (vma* area = first_ending_after(start == 0 ? 0 : start - 1);
         area != nullptr && area->start <= end; area = vma_tree::next(*area)) {
        area = &merge(*area, dead);
    }
}

// --- free ranges ---

// Finds the highest hole below `ceiling`, as Linux does; a stack above a hole keeps its gap.
u64 address_space::search_down(u64 length, u64 ceiling) {
    u64 hole_end = ceiling;
    vma* above = first_ending_after(ceiling - 1);
    if (above != nullptr) {
        hole_end = std::min(hole_end, above->start - (above->has(vma_flag::grows_down)
                                                          ? std::min(stack_gap, above->start)
                                                          : 0));
    }
    vma* below = area_before(above);
    for (;; below = vma_tree::prev(*below)) {
        const u64 hole_start = std::max(min_address, below == nullptr ? 0 : below->end);
        if (hole_end >= hole_start && hole_end - hole_start >= length) {
            _search_top = hole_end;
            return hole_end - length;
        }
        if (hole_end > hole_start) {
            _largest_skipped = std::max(_largest_skipped, hole_end - hole_start);
        }
        if (below == nullptr) {
            return 0;
        }
        hole_end = below->start;
        if (below->has(vma_flag::grows_down)) {
            hole_end -= std::min(stack_gap, hole_end);
        }
    }
}

// A hole that ends here has appeared or grown.
void address_space::note_hole(u64 end) {
    if (end > _search_top) {
        _search_top = end;
        // What lies above is unchanged, so _largest_skipped still bounds it.
    }
}

result<u64> address_space::find_free(const map_request& request) {
    if (request.length > user_end - min_address) {
        return err::nomem;
    }
    const u64 hint = align_down(request.address, page_size);
    if (hint >= min_address && hint <= user_end - request.length && !request.below_4g) {
        vma* next = first_ending_after(hint);
        const u64 gap = next != nullptr && next->has(vma_flag::grows_down) ? stack_gap : 0;
        if (next == nullptr || hint + request.length + gap <= next->start) {
            return hint;
        }
    }
    const u64 base = layout.mmap_base != 0 ? layout.mmap_base : user_end;
    u64 found = 0;
    if (request.below_4g) {
        const u64 saved_top = _search_top, saved_skipped = _largest_skipped;
        found = search_down(request.length, u64{1} << 31);
        _search_top = saved_top;
        _largest_skipped = saved_skipped;
        return found == 0 ? result<u64>(err::nomem) : result<u64>(found);
    }
    if (request.length <= _largest_skipped || _search_top == 0 || _search_top > base) {
        _search_top = base;
        _largest_skipped = 0;
    }
    found = search_down(request.length, _search_top);
    if (found == 0 && base < user_end) {
        found = search_down(request.length, user_end);  // above the base, as Linux's last resort
        _search_top = 0;
    }
    return found == 0 ? result<u64>(err::nomem) : result<u64>(found);
}

// --- seen from outside ---

result<u32> address_space::protection_at(u64 address) {
    shared_guard guard(_lock);
    const vma* area = area_at(address);
    return area == nullptr ? result<u32>(err::fault) : result<u32>(area->protection);
}

bool address_space::is_mapped(u64 start, u64 length) {
    shared_guard guard(_lock);
    for (u64 at = start; at < start + length;) {
        const vma* area = area_at(at);
        if (area == nullptr) {
            return false;
        }
        at = area->end;
    }
    return true;
}

result<address_space::location> address_space::locate(u64 address) {
    shared_guard guard(_lock);
    const vma* area = area_at(address);
    if (area == nullptr) {
        return err::fault;
    }
    location found;
    found.offset = address;
    if (area->is_shared() && area->object) {
        found.object = area->object;
        found.offset = area->offset + (address - area->start);
    }
    return found;
}

result<address_space::backing> address_space::backing_at(u64 address) {
    shared_guard guard(_lock);
    const vma* area = area_at(address);
    if (area == nullptr) {
        return err::fault;
    }
    backing found;
    found.open = area->backing;
    found.offset = area->offset + (address - area->start);
    found.end = area->end;
    found.shared_writable = area->is_shared() && (area->protection & prot::write) != 0;
    found.locked = area->has(vma_flag::locked);
    return found;
}

u64 address_space::next_mapped(u64 address) {
    shared_guard guard(_lock);
    const vma* area = first_ending_after(address);
    return area == nullptr ? 0 : std::max(area->start, address);
}

memory_usage address_space::usage() {
    shared_guard guard(_lock);
    memory_usage figures;
    figures.mapped = _mapped;
    figures.peak_mapped = _peak_mapped;
    figures.resident_anonymous = static_cast<u64>(std::max<i64>(0, _resident_anonymous.load()));
    figures.resident_file = static_cast<u64>(std::max<i64>(0, _resident_file.load()));
    figures.peak_resident =
        std::max(static_cast<u64>(_peak_resident.load()),
                 figures.resident_anonymous + figures.resident_file);
    figures.private_writable = _private_writable;
    figures.stack = _stack;
    figures.executable = _executable;
    figures.locked = _locked;
    figures.page_table_bytes = _table.table_bytes();
    figures.areas = _area_count;
    figures.minor_faults = _minor_faults.load();
    figures.major_faults = _major_faults.load();
    return figures;
}

}  // namespace kiln

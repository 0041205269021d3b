// The address space's invariants, checked one by one; for tests and debug builds.
#include "lib/assert.hh"
#include "mm/address_space.hh"

namespace kiln {
namespace {

void check_area(const vma& area, const vma* before) {
    KILN_ASSERT(area.start < area.end && area.end <= user_end);
    KILN_ASSERT(is_aligned(area.start, page_size) && is_aligned(area.end, page_size));
    KILN_ASSERT((area.protection & ~area.max_protection) == 0);
    if (before != nullptr) {
        KILN_ASSERT(before->end <= area.start);
        KILN_ASSERT(!continues(*before, area));
    }
}

void check_leaf(const vma& area, u64 entry, u64 address, unsigned level) {
    KILN_ASSERT(address >= area.start && address + page_table::span_of(level) <= area.end);
    if (area.protection == prot::none) {
        KILN_ASSERT(!entry_present(entry));
    }
    if ((entry & pte::writable) != 0) {
        KILN_ASSERT((area.protection & prot::write) != 0 && (entry & pte::unowned) == 0);
        KILN_ASSERT((entry & pte::private_page) != 0 || area.is_shared());
    }
    if ((entry & pte::no_execute) == 0) {
        KILN_ASSERT((area.protection & prot::exec) != 0);
    }
    if ((entry & pte::unowned) == 0) {
        KILN_ASSERT(entry_page(entry).references.load() != 0);
    }
}

}  // namespace

void address_space::check() {
    lock_guard guard(_lock);
    u64 mapped = 0;
    u64 writable = 0;
    i64 resident = 0;
    usize areas = 0;
    usize leaves = 0;
    const vma* before = nullptr;
    for (vma* area = _areas.first(); area != nullptr; area = vma_tree::next(*area)) {
        check_area(*area, before);
        mapped += area->size() >> page_shift;
        if (area->is_private_writable() && !area->has(vma_flag::grows_down)) {
            writable += area->size() >> page_shift;
        }
        _table.for_each_leaf(area->start, area->end, [&](u64* slot, u64 address, unsigned level) {
            const u64 entry = read_entry(slot);
            check_leaf(*area, entry, address, level);
            ++leaves;
            if ((entry & pte::unowned) == 0) {
                resident += static_cast<i64>(page_table::span_of(level) >> page_shift);
            }
        });
        ++areas;
        before = area;
    }
    KILN_ASSERT(areas == _area_count && mapped == _mapped && writable == _private_writable);
    KILN_ASSERT(resident == _resident_anonymous.load() + _resident_file.load());
    _table.for_each_leaf(0, user_end, [&](u64*, u64, unsigned) { --leaves; });
    KILN_ASSERT(leaves == 0);
}

}  // namespace kiln

#include "mm/page_table.hh"

namespace kiln {
namespace {

constexpr u64 table_bits = pte::present | pte::writable | pte::accessed;

// Whether [base, base + span) lies in [floor, ceiling).
bool inside(u64 base, usize span, u64 floor, u64 ceiling) {
    return base >= floor && base + span <= ceiling;
}

}  // namespace

u64 leaf_bits(u32 prot, bool writable) {
    constexpr u32 write = 2, exec = 4;
    if (prot == 0) {
        return pte::no_execute;
    }
    return pte::present | pte::accessed | (writable && (prot & write) != 0 ? pte::writable : 0) |
           ((prot & exec) != 0 ? 0 : pte::no_execute);
}

page_table::place page_table::find(u64 address) const {
    u64* table = _root;
    for (unsigned level = 3; level > 1; --level) {
        const u64 entry = read_entry(slot_in(table, address, level));
        if (entry == 0) {
            return {};
        }
        table = table_of(entry);
    }
    u64* slot = slot_in(table, address, 1);
    const u64 entry = read_entry(slot);
    if (entry == 0 || is_leaf(entry, 1)) {
        return {slot, 1};
    }
    return {slot_in(table_of(entry), address, 0), 0};
}

result<u64*> page_table::make_table(u64* slot) {
    page* fresh = TRY(alloc_zeroed_page());
    if (!replace_entry(slot, 0, page_to_phys(*fresh) | table_bits)) {
        drop_page_reference(*fresh);  // another thread was first
        if (is_leaf(read_entry(slot), 1)) {
            return err::exist;
        }
    } else {
        _tables.fetch_add(1, std::memory_order_relaxed);
    }
    return table_of(read_entry(slot));
}

result<u64*> page_table::make_slot(u64 address, unsigned level) {
    u64* table = _root;
    for (unsigned at = 3; at > level; --at) {
        u64* slot = slot_in(table, address, at);
        const u64 entry = read_entry(slot);
        if (at == 1 && is_leaf(entry, 1)) {
            return err::exist;
        }
        table = entry == 0 ? TRY(make_table(slot)) : table_of(entry);
    }
    return slot_in(table, address, level);
}

bool page_table::split_at(u64 address) {
    if (is_aligned(address, large_page_size)) {
        return false;
    }
    const place where = find(address);
    if (where.slot == nullptr || where.level != 1 || read_entry(where.slot) == 0) {
        return false;
    }
    split_leaf(where.slot);
    return true;
}

void page_table::split_leaf(u64* slot) {
    const u64 large = read_entry(slot);
    page& head = entry_page(large);
    page& table = *static_cast<page*>(head.owner);
    auto* entries = static_cast<u64*>(page_data(table));
    const u64 first = entry_address(large);
    const u64 bits = (large & ~pte::address_mask & ~pte::large);
    for (usize i = 0; i < 512; ++i) {
        page& piece = phys_to_page(first + i * page_size);
        piece.order = 0;
        piece.owner = nullptr;
        piece.flags.store(0, std::memory_order_relaxed);
        piece.references.store(1, std::memory_order_relaxed);
        entries[i] = (first + i * page_size) | bits;
    }
    exchange_entry(slot, page_to_phys(table) | table_bits);
    _tables.fetch_add(1, std::memory_order_relaxed);
}

void page_table::take_tables_below(u64* table, unsigned level, u64 base, u64 start, u64 end,
                                   u64 floor, u64 ceiling, page_list& freed) {
    const usize span = span_of(level);
    for (u64 at = std::max(start, base); at < end; at = align_down(at, span) + span) {
        u64* slot = slot_in(table, at, level);
        const u64 entry = read_entry(slot);
        if (entry == 0 || is_leaf(entry, level)) {
            continue;
        }
        const u64 here = align_down(at, span);
        if (level > 1) {
            take_tables_below(table_of(entry), level - 1, here, at, std::min<u64>(end, here + span),
                              floor, ceiling, freed);
        }
        if (inside(here, span, floor, ceiling)) {
            exchange_entry(slot, 0);
            _tables.fetch_sub(1, std::memory_order_relaxed);
            freed.push_back(phys_to_page(entry & pte::address_mask));
        }
    }
}

void page_table::take_empty_tables(u64 start, u64 end, u64 floor, u64 ceiling, page_list& freed) {
    take_tables_below(_root, 3, 0, start, end, floor, ceiling, freed);
}

}  // namespace kiln

// The program's half of the page tables: 4 KiB and 2 MiB leaves in tables of four levels.
//
// An entry is zero (nothing there), a table, or a leaf. A leaf without `present` is hidden: the page is
// kept but the program may not touch it (PROT_NONE, or its page is being exchanged for another). Every
// leaf holds one reference on its page (a 2 MiB leaf: on the head of its block) unless it is `unowned`. A
// 2 MiB block has a spare table in its head's `owner`, so that splitting it never fails.
//
// Lock: under the address space's lock held shared, entries are filled, made writable, or given another
// page, by compare-and-exchange; all else, above all freeing tables, needs it held exclusively. Nothing here
// flushes the TLB: callers do, before they free what was mapped. Context: threads.
#pragma once

#include <algorithm>
#include <atomic>

#include "arch/x86_64/paging.hh"
#include "core/page.hh"
#include "core/user.hh"
#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

namespace pte {
// Bits that the MMU ignores. private_page: the mapping's own copy, not the object's. unowned: no
// reference is held (the zero page, kernel data shown to the program).
inline constexpr u64 private_page = 1u << 9, unowned = 1u << 10;
}

using page_list = list<page, &page::link>;

inline u64 read_entry(const u64* slot) {
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}
inline bool replace_entry(u64* slot, u64 expected, u64 desired) {
    return __atomic_compare_exchange_n(slot, &expected, desired, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}
inline u64 exchange_entry(u64* slot, u64 desired) {
    return __atomic_exchange_n(slot, desired, __ATOMIC_ACQ_REL);
}
inline u64 entry_address(u64 entry) {
    return entry & pte::address_mask & (entry & pte::large ? ~u64{large_page_size - 1} : ~u64{0});
}
inline bool entry_present(u64 entry) {
    return (entry & pte::present) != 0;
}
inline page& entry_page(u64 entry) {
    return phys_to_page(entry_address(entry));
}

// The leaf bits for PROT_* bits; without any of them the leaf is hidden. `writable` false keeps the
// page write-protected although the mapping may be written (it is copied or marked dirty first).
u64 leaf_bits(u32 prot, bool writable);

class page_table : noncopyable {
public:
    constexpr page_table() = default;
    void start(u64* root) { _root = root; }

    // Levels: 0 holds 4 KiB leaves, 1 tables or 2 MiB leaves, 2 and 3 only tables.
    static constexpr usize span_of(unsigned level) { return page_size << (9 * level); }

    struct place {
        u64* slot = nullptr;
        unsigned level = 0;
    };
    // The slot of the leaf for an address, or where a leaf would be: level 0, or level 1 when a
    // 2 MiB leaf or no table is there. No slot when not even that table exists.
    place find(u64 address) const;
    // As find, making the tables down to `level`. Fails with err::nomem; err::exist when level 0 is
    // wanted and a 2 MiB leaf covers the address.
    result<u64*> make_slot(u64 address, unsigned level);

    // Calls visit(slot, address, level) for every leaf that touches [start, end), in order. It may
    // change the leaf. Absent tables cost nothing.
    template <class Visit>
    void for_each_leaf(u64 start, u64 end, Visit visit) const {
        if (start < end) {
            visit_level(_root, 3, start, end, visit);
        }
    }

    // Turns a 2 MiB leaf that covers the address, if any, and does not start there into 4 KiB leaves.
    // Returns whether it did.
    bool split_at(u64 address);
    // Turns the 2 MiB leaf of a slot into a table.
    void split_leaf(u64* slot);
    // So that no leaf reaches beyond [start, end).
    bool split_ends(u64 start, u64 end) {
        const bool first = split_at(start);
        return split_at(end) || first;
    }

    // Takes tables out of which nothing in [floor, ceiling) is mapped any more, looking only at those
    // that touch [start, end). The caller flushes the TLB, then frees the list.
    void take_empty_tables(u64 start, u64 end, u64 floor, u64 ceiling, page_list& freed);

    // Memory that tables take, spare ones not counted.
    u64 table_bytes() const { return _tables.load(std::memory_order_relaxed) * page_size; }

private:
    static u64* slot_in(u64* table, u64 address, unsigned level) {
        return table + ((address >> (page_shift + 9 * level)) & 511);
    }
    static u64* table_of(u64 entry) {
        return static_cast<u64*>(phys_to_virt(entry & pte::address_mask));
    }
    static bool is_leaf(u64 entry, unsigned level) {
        return entry != 0 && (level == 0 || (entry & pte::large) != 0);
    }
    result<u64*> make_table(u64* slot);
    void take_tables_below(u64* table, unsigned level, u64 base, u64 start, u64 end, u64 floor,
                           u64 ceiling, page_list& freed);

    template <class Visit>
    static void visit_level(u64* table, unsigned level, u64 start, u64 end, Visit& visit) {
        // [start, end) lies in this one table. Most slots of a thread's stack are empty.
        const unsigned shift = page_shift + 9 * level;
        const u64 base = start >> shift << shift;
        u64* const first = slot_in(table, start, level);
        const u64* const last = first + ((end - 1 - base) >> shift) + 1;
        for (u64* slot = first; slot != last; ++slot) {
            const u64 entry = read_entry(slot);
            if (entry == 0) {
                continue;
            }
            const u64 at = base + (static_cast<u64>(slot - first) << shift);
            if (is_leaf(entry, level)) {
                visit(slot, at, level);
            } else {
                visit_level(table_of(entry), level - 1, std::max(at, start),
                            std::min<u64>(end, at + span_of(level)), visit);
            }
        }
    }

    u64* _root = nullptr;
    std::atomic<u64> _tables{0};
};

}  // namespace kiln

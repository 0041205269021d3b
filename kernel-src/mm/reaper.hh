// Collects pages and tables that were just unmapped, and frees them after every CPU has forgotten the
// translations. Used with the address space's lock held exclusively; holds no other lock.
//
// The mapping's own pages are chained by their own link, since nobody else uses it; an object's pages
// are on its lists, so that they wait in a small array.
#pragma once

#include "mm/page_table.hh"

namespace kiln {

class page_reaper : noncopyable {
public:
    page_reaper() = default;
    ~page_reaper() { flush(); }

    // A leaf that was removed. Frees part-way when a batch is full.
    void add(u64 entry, u64 address, unsigned level);
    // Translations of the range must go, though no page is freed.
    void touch(u64 start, u64 end);
    page_list& tables() { return _tables; }
    void flush();

private:
    static constexpr usize array_size = 64;
    static constexpr usize batch = 4096;

    u64 _start = ~u64{0};
    u64 _end = 0;
    page_list _own;
    page_list _tables;
    usize _own_count = 0;
    page* _others[array_size];
    usize _other_count = 0;
};

// Lets go of the page of a leaf that no CPU sees any more.
void release_leaf(u64 entry);

}  // namespace kiln

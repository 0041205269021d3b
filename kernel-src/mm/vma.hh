// One area of the address space: a range of pages with the same protection and the same source.
//
// Owned by the address space (mm/address_space.hh) and guarded by its lock.
#pragma once

#include <string_view>

#include "fs/file.hh"
#include "lib/list.hh"
#include "lib/ref.hh"
#include "lib/tree.hh"
#include "mm/vm_object.hh"

namespace kiln {

// PROT_* of the ABI.
namespace prot {
inline constexpr u32 none = 0, read = 1, write = 2, exec = 4, all = 7;
}

namespace vma_flag {
inline constexpr u32 shared = 1u << 0,      // writes go to the object
    grows_down = 1u << 1,                   // a stack: a fault below it extends it
    locked = 1u << 2,                       // mlock: present for good
    lock_on_fault = 1u << 3,
    dont_dump = 1u << 4, huge = 1u << 5, no_huge = 1u << 6, no_reserve = 1u << 7,
    dont_fork = 1u << 8, wipe_on_fork = 1u << 9, sequential = 1u << 10, random = 1u << 11,
    fixed_pages = 1u << 12;                 // vDSO: entries are made once, pages are the kernel's
}

struct vma : noncopyable {
    u64 start = 0;
    u64 end = 0;
    u32 protection = 0;
    u32 max_protection = prot::all;  // what mprotect may give
    u32 flags = 0;
    ref<vm_object> object;  // null: private anonymous memory
    ref<file> backing;      // what /proc/self/maps names
    u64 offset = 0;         // in the object, of `start`; in bytes
    const char* name = nullptr;  // of areas that the kernel makes

    tree_node node;
    list_node link;  // on a list of areas taken out of the tree

    u64 size() const { return end - start; }
    bool has(u32 flag) const { return (flags & flag) != 0; }
    bool is_shared() const { return has(vma_flag::shared); }
    u64 page_index(u64 address) const { return (offset + (address - start)) >> page_shift; }
    // Counted against commit limits: private and writable.
    bool is_private_writable() const { return !is_shared() && (protection & prot::write) != 0; }
};

struct vma_before {
    bool operator()(const vma& a, const vma& b) const { return a.start < b.start; }
};
using vma_tree = tree<vma, &vma::node, vma_before>;

// Areas that are no longer in the tree; they end with the list. Declared before the lock's guard, so
// that files and objects are let go after the lock.
class dead_areas : noncopyable {
public:
    dead_areas() = default;
    ~dead_areas() {
        while (vma* area = _areas.pop_front()) {
            delete area;
        }
    }
    void add(vma& area) { _areas.push_back(area); }

private:
    list<vma, &vma::link> _areas;
};

// Whether `right`, which begins where `left` ends, continues it in every respect.
inline bool continues(const vma& left, const vma& right) {
    return left.end == right.start && left.protection == right.protection &&
           left.max_protection == right.max_protection && left.flags == right.flags &&
           left.object == right.object && left.backing == right.backing &&
           left.name == right.name && !left.has(vma_flag::fixed_pages) &&
           (!left.object || left.offset + left.size() == right.offset);
}

}  // namespace kiln

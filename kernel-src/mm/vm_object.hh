// What a mapping maps: a source of pages by number. The page cache of an inode is one; so is shared
// anonymous memory (an unnamed tmpfs file) and device memory.
//
// Lock order: address-space lock → the object's own locks → block devices. Context: threads.
#pragma once

#include <atomic>

#include "core/page.hh"
#include "lib/ref.hh"
#include "lib/result.hh"

namespace kiln {

class vm_object : public ref_counted<vm_object> {
public:
    virtual ~vm_object() = default;

    // The page that holds bytes [index * 4096, +4096), up to date, with a reference for the caller.
    // May sleep. err::range beyond the end (the fault becomes SIGBUS), err::io, err::nomem (no space:
    // SIGBUS too). `for_write`: the caller maps it writable and shared, so the object marks it dirty.
    virtual result<page*> get_page(u64 index, bool for_write) = 0;

    // As get_page, but only when it is there already; nullptr otherwise. Does not sleep for devices.
    // For fault-around.
    virtual page* peek_page(u64 index) = 0;

    // Bytes; what lies in the last page beyond it reads as zeros.
    virtual u64 size() const = 0;

    // How many areas of the address space map it, kept by the address space: after truncation an
    // object with mappings calls the_address_space().forget_object_pages, holding none of its locks.
    std::atomic<u32> mappings{0};
};

// Takes the pages [first, end) of the object out of every mapping, before a file forgets them
// (truncate, hole punching). Provided by the address space; a weak reference, so that the host tests
// need none. Context: threads, not holding the object's locks.
[[gnu::weak]] void unmap_object_pages(vm_object& object, u64 first, u64 end);

}  // namespace kiln

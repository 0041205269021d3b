// UEFI loader: the firmware's descriptors of memory as ranges of the kernel's table.
//
// Invariants: the ranges are sorted, and neighbours of one type are one range: firmware has a hundred
// descriptors where a BIOS has ten. Needs nothing of the firmware: tests run it on the host.
#pragma once

#include "../memory_map.hh"
#include "efi.hh"

namespace boot {

class range_list {
public:
    range_list(memory_range* ranges, u32 limit) : _ranges(ranges), _limit(limit) {}

    void add(const efi::memory_descriptor& part);

    // More than the limit when they do not fit.
    u32 count() const { return _count; }

private:
    void insert(u64 base, u64 size, u32 type);
    void join(u32 at);

    memory_range* _ranges;
    u32 _limit;
    u32 _count = 0;
};

}  // namespace boot

// Loaders: the table of memory that the kernel gets, as Xen's arch-x86/hvm/start_info.h lays it out.
#pragma once

#include "types.hh"

namespace boot {

struct memory_range {
    u64 base;
    u64 size;
    u32 type;
    u32 reserved;
};
static_assert(sizeof(memory_range) == 24);

constexpr u32 usable_memory = 1;

// Whether all of [base, base + size) is usable memory by these ranges, which may have any order.
bool covers(const memory_range* ranges, u32 count, u64 base, u64 size);

}  // namespace boot

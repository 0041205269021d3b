// Loaders: the table of memory that the kernel gets.
#pragma once

#include "pvh.hh"
#include "types.hh"

namespace boot {

// Whether all of [base, base + size) is usable memory by these ranges, which may have any order.
bool covers(const memory_range* ranges, u32 count, u64 base, u64 size);

}  // namespace boot

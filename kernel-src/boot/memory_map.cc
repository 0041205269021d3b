// See memory_map.hh.

#include "memory_map.hh"

namespace boot {

bool covers(const memory_range* ranges, u32 count, u64 base, u64 size) {
    u64 end = base + size;
    for (u32 at = 0; at < count && base < end;) {
        const memory_range& range = ranges[at++];
        if (range.type == usable_memory && range.base <= base && base - range.base < range.size) {
            base = range.base + range.size;
            at = 0;  // the rest may be in a range listed before
        }
    }
    return base >= end;
}

}  // namespace boot

// Page tables and the TLB, seen from above. One set of tables serves the kernel and the program.
//
// The program's half is changed only under the address space's lock (mm/) with the functions of
// mm/page_table.hh; this file has what the hardware needs.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

// Bits of a page-table entry (Intel SDM vol. 3, 4.5).
namespace pte {
inline constexpr u64 present = 1u << 0, writable = 1u << 1, user = 1u << 2, write_through = 1u << 3,
                     no_cache = 1u << 4, accessed = 1u << 5, dirty = 1u << 6, large = 1u << 7,
                     global = 1u << 8, no_execute = u64{1} << 63,
                     address_mask = 0x000f'ffff'ffff'f000;
}

// The top-level table, in the direct map: 512 entries, the lower 256 are the program's.
u64* root_table();

// Forgets translations of [start, end) on this CPU.
void flush_tlb_here(u64 start, u64 end);
// The same on every CPU, and returns when all have done it. Waits with interrupts on: the caller
// holds no spin lock. Pages that were mapped there may be freed only after it returned.
// An idle CPU runs nothing of the program and is left asleep: it flushes when it wakes. `idle_too`
// when tables are freed, because even an idle CPU may walk those that it remembers.
void flush_tlb(u64 start, u64 end, bool idle_too = false);
// Does what this CPU missed while it was idle. Called by the scheduler after it has said that the CPU
// is idle no more.
void catch_up_with_flushes();

// A kernel mapping of device registers, uncached. Never undone.
result<void*> map_device(u64 physical, usize size);

}  // namespace kiln

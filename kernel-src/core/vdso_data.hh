// The page that the kernel's clock and the program's vDSO read the time from.
//
// Written by one CPU at a time under a sequence count: odd while it is being written, so a reader that
// sees an odd or a changed count reads again. The kernel has it writable; the program sees the same
// page read-only right before the vDSO's code. Its layout is known to linux/vdso/.
// Context: readers any, the writer with interrupts off.
#pragma once

#include "lib/scale.hh"
#include "lib/types.hh"

namespace kiln {

struct vdso_data {
    u32 sequence = 0;
    u32 use_tsc = 0;   // 0: the TSC is of no use, the vDSO enters the kernel
    u32 use_rdpid = 0; // 1: TSC_AUX holds CPU number | node << 12 and RDTSCP exists
    // nanoseconds since boot = monotonic_base + ((tsc - tsc_base) * multiplier >> 32), computed in
    // 128 bits.
    u64 tsc_base = 0;
    u64 multiplier = 0;
    u64 monotonic_base = 0;
    u64 realtime_offset = 0;  // nanoseconds to add for the time since the Unix epoch
    u32 timezone_minutes_west = 0;
    u32 timezone_dst = 0;
};

// One page of its own, so that nothing else is shown to the program. Defined in linux/vdso_image.cc.
union vdso_data_page {
    vdso_data data = {};
    u8 bytes[page_size];
};
extern vdso_data_page the_vdso_page;
inline vdso_data& the_vdso_data() { return the_vdso_page.data; }

// Reads `realtime_offset` and the time since boot together. False when the TSC is of no use.
inline bool read_vdso_clock(const vdso_data& from, u64& monotonic, u64& realtime_offset) {
    for (;;) {
        const u32 before = __atomic_load_n(&from.sequence, __ATOMIC_ACQUIRE);
        if (from.use_tsc == 0) {
            return false;
        }
        u32 low = 0;
        u32 high = 0;
        // LFENCE: the counter must not be read before the sequence (Intel SDM vol. 2, RDTSC).
        asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
        const u64 tsc = u64{high} << 32 | low;
        const u64 base = from.tsc_base;
        // A CPU whose counter is a little behind sees no time before the base.
        const u64 delta = tsc > base ? tsc - base : 0;
        monotonic = from.monotonic_base + multiply_shift32(delta, from.multiplier);
        realtime_offset = from.realtime_offset;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if ((before & 1) == 0 && __atomic_load_n(&from.sequence, __ATOMIC_RELAXED) == before) {
            return true;
        }
        __builtin_ia32_pause();
    }
}

// Around every change.
inline void begin_vdso_update(vdso_data& to) {
    __atomic_store_n(&to.sequence, to.sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}
inline void end_vdso_update(vdso_data& to) {
    __atomic_store_n(&to.sequence, to.sequence + 1, __ATOMIC_RELEASE);
}

}  // namespace kiln

// Xen, seen from the boot code: where it is found and each CPU is made known to it. What the drivers use
// of it is drivers/xen/hypercall.hh and platform.hh.
#pragma once

#include <span>

#include "lib/types.hh"

namespace kiln::xen {

// Finds Xen by CPUID, which is all it costs elsewhere; hypercalls work from here on. Where there is no serial port, earliest lines
// then go to Xen's own console. Once, on the boot CPU, after serial_init.
void find();
// As the BIOS tells it (ACPI 6.4, 15.1): how much of the map fits, 0 where there is no Xen to ask. For
// guests of versions that do not hand the map over. After find.
struct [[gnu::packed]] memory_entry {
    u64 base;
    u64 size;
    u32 type;
};
u32 read_memory_map(std::span<memory_entry> to);
// Where it was found, the shared page and this CPU's block of events work afterwards. Once,
// on the boot CPU, with the page allocator.
void platform_init();
// Makes the calling CPU known: it is number `cpu`. Each CPU once, before it runs threads.
void cpu_start(u32 cpu);

// The TSC's frequency and the wall clock, in nanoseconds since the epoch; 0 where Xen does not tell.
u64 tsc_frequency();
u64 wall_time();

}  // namespace kiln::xen

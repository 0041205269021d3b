// Xen, seen from the boot code: where it is found and each CPU is made known to it. What the drivers use
// of it is drivers/xen/hypercall.hh and platform.hh.
#pragma once

#include "lib/types.hh"

namespace kiln::xen {

// Finds Xen by CPUID, which is all it costs elsewhere. Where there is no serial port, earliest lines
// then go to Xen's own console. Once, on the boot CPU, after serial_init.
void find();
// Where it was found, hypercalls, the shared page and this CPU's block of events work afterwards. Once,
// on the boot CPU, with the page allocator.
void platform_init();
// Makes the calling CPU known: it is number `cpu`. Each CPU once, before it runs threads.
void cpu_start(u32 cpu);

// The TSC's frequency and the wall clock, in nanoseconds since the epoch; 0 where Xen does not tell.
u64 tsc_frequency();
u64 wall_time();

}  // namespace kiln::xen

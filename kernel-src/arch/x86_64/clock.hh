// How the clock is set up; core/clock.hh is how it is read.
#pragma once

#include "lib/types.hh"

namespace kiln {

// Finds the TSC's frequency (hypervisor leaf, kvmclock, CPUID 0x15, or half a millisecond against HPET,
// ACPI timer or PIT) and the APIC timer's. After acpi_init and apic_init.
void clock_init();
// Measures again over all the time since clock_init; makes the clock exact without having waited.
void clock_refine();

// Whether the battery clock has nothing more to tell: the hypervisor has told the time of day to better
// than a second, or emulates a battery clock whose seconds begin at any time.
bool realtime_is_settled();

// The TSC's value at a time in nanoseconds since boot.
u64 tsc_at(u64 time);

}  // namespace kiln

// What KVM tells of time (Linux Documentation/virt/kvm/x86/msr.rst): the TSC's frequency, and the wall
// clock, exactly. Context: boot, one CPU.
#pragma once

#include "lib/types.hh"

namespace kiln {

// 0 where there is no such clock.
u64 kvm_tsc_frequency();
// Nanoseconds since the epoch at this moment; 0 where there is no such clock.
u64 kvm_wall_time();

}  // namespace kiln

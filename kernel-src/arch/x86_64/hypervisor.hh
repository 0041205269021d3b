// Which hypervisor runs this machine, by CPUID. Context: any.
#pragma once

#include "lib/types.hh"

namespace kiln {

// The highest CPUID leaf of the hypervisor whose signature of 12 bytes leaf 0x40000000 has; 0 when
// it is another or none.
u32 hypervisor_leaf(const char* signature);

// QEMU without KVM.
inline bool on_emulator() {
    return hypervisor_leaf("TCGTCGTCGTCG") != 0;
}

}  // namespace kiln

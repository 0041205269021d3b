// Which hypervisor runs this machine, by CPUID. Context: any.
#pragma once

#include "lib/types.hh"

namespace kiln {

// The highest CPUID leaf of the hypervisor whose signature of 12 bytes leaf 0x40000000 has; 0 when
// it is another or none.
u32 hypervisor_leaf(const char* signature);

// The first leaf of the hypervisor with this signature, at 0x40000000 or, where it also speaks the
// interface of another, up to 255 times 0x100 above; 0 when there is none.
u32 find_hypervisor(const char* signature);

// QEMU without KVM.
inline bool on_emulator() {
    return hypervisor_leaf("TCGTCGTCGTCG") != 0;
}

}  // namespace kiln

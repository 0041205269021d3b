// The TSC's ticks a second, as far as CPUID tells them. Context: any.
#pragma once

#include "lib/types.hh"

namespace kiln {

// `cpuid(leaf)` returns something with eax, ebx and ecx. 0: nobody tells.
//
// VMware's leaf 0x40000010 (its knowledge base, 1009458: kHz), which VirtualBox has too, and QEMU with
// KVM; then leaf 0x15 (Intel's manual, volume 2: the crystal's Hz and a ratio).
template <class Cpuid>
u64 tsc_frequency_by_cpuid(Cpuid cpuid) {
    constexpr u32 guest = 1u << 31, hypervisor_leaf = 0x4000'0000, timing_leaf = 0x4000'0010;
    // A hypervisor's last leaf is one of its own: anything else is what the bare CPU answers.
    constexpr u32 leaves = 0x1'0000;
    if ((cpuid(1).ecx & guest) != 0) {
        const u32 last = cpuid(hypervisor_leaf).eax;
        if (last >= timing_leaf && last - hypervisor_leaf < leaves) {
            if (const u64 khz = cpuid(timing_leaf).eax; khz != 0) {
                return khz * 1000;
            }
        }
    }
    if (cpuid(0).eax < 0x15) {
        return 0;
    }
    const auto ratio = cpuid(0x15);
    return ratio.eax == 0 ? 0 : u64{ratio.ecx} * ratio.ebx / ratio.eax;
}

}  // namespace kiln

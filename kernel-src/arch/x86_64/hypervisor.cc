#include "arch/x86_64/hypervisor.hh"

#include "arch/x86_64/msr.hh"
#include "lib/bytes.hh"

namespace kiln {

u32 hypervisor_leaf(const char* signature) {
    constexpr u32 hypervisor_present = 1u << 31;
    if ((cpuid(1).ecx & hypervisor_present) == 0) {
        return 0;
    }
    const cpuid_result leaf = cpuid(0x4000'0000);
    char found[12];
    store(found, leaf.ebx);
    store(found + 4, leaf.ecx);
    store(found + 8, leaf.edx);
    return __builtin_memcmp(found, signature, sizeof(found)) == 0 ? leaf.eax : 0;
}

}  // namespace kiln

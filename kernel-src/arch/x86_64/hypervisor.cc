#include "arch/x86_64/hypervisor.hh"

#include "arch/x86_64/msr.hh"
#include "lib/bytes.hh"

namespace kiln {
namespace {

constexpr u32 first_leaf = 0x4000'0000, last_leaf = 0x4001'0000, step = 0x100;

bool is_guest() {
    constexpr u32 hypervisor_present = 1u << 31;
    return (cpuid(1).ecx & hypervisor_present) != 0;
}

bool has_signature(const cpuid_result& leaf, const char* signature) {
    char found[12];
    store(found, leaf.ebx);
    store(found + 4, leaf.ecx);
    store(found + 8, leaf.edx);
    return __builtin_memcmp(found, signature, sizeof(found)) == 0;
}

}  // namespace

u32 hypervisor_leaf(const char* signature) {
    if (!is_guest()) {
        return 0;
    }
    const cpuid_result leaf = cpuid(first_leaf);
    return has_signature(leaf, signature) ? leaf.eax : 0;
}

// Each CPUID of a guest is an exit, so the search ends at the first place where nobody answers.
u32 find_hypervisor(const char* signature) {
    if (!is_guest()) {
        return 0;
    }
    for (u32 base = first_leaf; base < last_leaf; base += step) {
        const cpuid_result leaf = cpuid(base);
        if (has_signature(leaf, signature)) {
            return base;
        }
        if (leaf.eax < base || leaf.eax >= base + step) {
            return 0;
        }
    }
    return 0;
}

}  // namespace kiln

// Model-specific and control registers, CPUID (Intel SDM vol. 2 and 4). Context: any.
#pragma once

#include "lib/types.hh"

namespace kiln {

namespace msr {
inline constexpr u32 apic_base = 0x1b, efer = 0xc000'0080, star = 0xc000'0081, lstar = 0xc000'0082,
                     fmask = 0xc000'0084, fs_base = 0xc000'0100, gs_base = 0xc000'0101,
                     tsc_deadline = 0x6e0, x2apic_start = 0x800;
}

inline u64 read_msr(u32 number) {
    u32 low;
    u32 high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return u64{high} << 32 | low;
}

inline void write_msr(u32 number, u64 value) {
    asm volatile("wrmsr" : : "c"(number), "a"(static_cast<u32>(value)),
                 "d"(static_cast<u32>(value >> 32)) : "memory");
}

struct cpuid_result {
    u32 eax, ebx, ecx, edx;
};

inline cpuid_result cpuid(u32 leaf, u32 subleaf = 0) {
    cpuid_result r{};
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                 : "a"(leaf), "c"(subleaf));
    return r;
}

inline u64 read_tsc() {
    u32 low;
    u32 high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return u64{high} << 32 | low;
}

inline u64 read_cr0() {
    u64 value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}
inline void write_cr0(u64 value) { asm volatile("mov %0, %%cr0" : : "r"(value) : "memory"); }
inline u64 read_cr2() {
    u64 value;
    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}
inline u64 read_cr3() {
    u64 value;
    asm volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}
inline void write_cr3(u64 value) { asm volatile("mov %0, %%cr3" : : "r"(value) : "memory"); }
inline u64 read_cr4() {
    u64 value;
    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}
inline void write_cr4(u64 value) { asm volatile("mov %0, %%cr4" : : "r"(value) : "memory"); }

inline void enable_interrupts() { asm volatile("sti" : : : "memory"); }
inline void disable_interrupts() { asm volatile("cli" : : : "memory"); }
inline u64 read_flags() {
    u64 flags;
    asm volatile("pushfq; popq %0" : "=r"(flags));
    return flags;
}
inline constexpr u64 flag_interrupts = 1u << 9;
inline bool interrupts_enabled() { return (read_flags() & flag_interrupts) != 0; }

}  // namespace kiln

#include "arch/x86_64/kvm_clock.hh"

#include "arch/x86_64/hypervisor.hh"
#include "arch/x86_64/msr.hh"
#include "core/clock.hh"
#include "core/page.hh"

namespace kiln {
namespace {

constexpr u32 wall_clock_msr = 0x4b56'4d00;
constexpr u32 system_time_msr = 0x4b56'4d01;

// struct pvclock_wall_clock.
struct wall_clock {
    u32 version, seconds, nanoseconds;
};

// KVM writes into these while their addresses are in its registers.
struct shared_clocks {
    alignas(64) kvm_clock_page clock{};
    alignas(16) wall_clock wall{};
};
constinit shared_clocks shared;

bool has_clock() {
    constexpr u32 newer_registers = 1u << 3;
    return hypervisor_leaf("KVMKVMKVM\0\0\0") != 0 &&
           (cpuid(0x4000'0001).eax & newer_registers) != 0;
}

// KVM fills the page before the next instruction of the CPU that set the register, and again only when
// the CPU runs anew; the version is odd meanwhile.
kvm_clock_page read_clock() {
    write_msr(system_time_msr, virt_to_phys(&shared.clock) | 1);
    const volatile u32& version = shared.clock.version;
    kvm_clock_page copy;
    u32 before = 0;
    do {
        before = version;
        asm volatile("" ::: "memory");
        copy = shared.clock;
        asm volatile("" ::: "memory");
    } while ((before & 1) != 0 || before != version);
    write_msr(system_time_msr, 0);
    return copy;
}

wall_clock read_wall() {
    write_msr(wall_clock_msr, virt_to_phys(&shared.wall));
    asm volatile("" ::: "memory");
    return shared.wall;
}

}  // namespace

u64 kvm_tsc_frequency() {
    if (!has_clock()) {
        return 0;
    }
    const kvm_clock_page clock = read_clock();
    if (clock.multiplier == 0) {
        return 0;
    }
    const u64 unshifted = (ns_per_s << 32) / clock.multiplier;
    return clock.shift < 0 ? unshifted << -clock.shift : unshifted >> clock.shift;
}

u64 kvm_wall_time() {
    if (!has_clock()) {
        return 0;
    }
    const kvm_clock_page clock = read_clock();
    const wall_clock wall = read_wall();
    if (clock.multiplier == 0 || wall.seconds == 0) {
        return 0;
    }
    return wall.seconds * ns_per_s + wall.nanoseconds + kvm_time_at(clock, read_tsc());
}

}  // namespace kiln

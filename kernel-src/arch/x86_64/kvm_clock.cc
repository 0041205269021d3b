#include "arch/x86_64/kvm_clock.hh"

#include "arch/x86_64/hypervisor.hh"
#include "arch/x86_64/msr.hh"
#include "core/clock.hh"
#include "core/page.hh"
#include "lib/pv_clock.hh"

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
    alignas(64) pv_clock clock{};
    alignas(16) wall_clock wall{};
};
constinit shared_clocks shared;

bool has_clock() {
    constexpr u32 newer_registers = 1u << 3;
    return hypervisor_leaf("KVMKVMKVM\0\0\0") != 0 &&
           (cpuid(0x4000'0001).eax & newer_registers) != 0;
}

// KVM fills the page before the next instruction of the CPU that set the register, and again only when
// the CPU runs anew. A clock of zeros where there is none.
pv_clock read_clock() {
    write_msr(system_time_msr, virt_to_phys(&shared.clock) | 1);
    pv_clock copy = read_versioned(shared.clock).value_or({});
    write_msr(system_time_msr, 0);
    return is_usable(copy) ? copy : pv_clock{};
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
    const pv_clock clock = read_clock();
    return clock.multiplier == 0 ? 0 : pv_frequency(clock);
}

u64 kvm_wall_time() {
    if (!has_clock()) {
        return 0;
    }
    const pv_clock clock = read_clock();
    const wall_clock wall = read_wall();
    if (clock.multiplier == 0 || wall.seconds == 0) {
        return 0;
    }
    return wall.seconds * ns_per_s + wall.nanoseconds + pv_time_at(clock, read_tsc());
}

}  // namespace kiln

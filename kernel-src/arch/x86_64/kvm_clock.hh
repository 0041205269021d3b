// What KVM tells of time (Linux Documentation/virt/kvm/x86/msr.rst): the TSC's frequency, and the wall
// clock, exactly. Context: boot, one CPU.
#pragma once

#include "lib/types.hh"

namespace kiln {

// 0 where there is no such clock.
u64 kvm_tsc_frequency();
// Nanoseconds since the epoch at this moment; 0 where there is no such clock.
u64 kvm_wall_time();

// struct pvclock_vcpu_time_info: the host's clock at a value of the TSC, and how it goes on from there.
struct kvm_clock_page {
    u32 version, pad;
    u64 tsc_timestamp, system_time;
    u32 multiplier;
    i8 shift;
    u8 flags, padding[2];
};
static_assert(sizeof(kvm_clock_page) == 32);

// Nanoseconds since the clock's zero; wall time at that zero is told separately.
constexpr u64 kvm_time_at(const kvm_clock_page& clock, u64 tsc) {
    const u64 delta = tsc - clock.tsc_timestamp;
    const u64 shifted = clock.shift < 0 ? delta >> -clock.shift : delta << clock.shift;
    return clock.system_time +
           static_cast<u64>(static_cast<unsigned __int128>(shifted) * clock.multiplier >> 32);
}
// A second on a TSC of 2 GHz, which one shift halves; half a second on one of 250 MHz.
static_assert(kvm_time_at({0, 0, 100, 7, 1u << 31, 0, 0, {}}, 2'000'000'100) == 1'000'000'007);
static_assert(kvm_time_at({0, 0, 0, 0, ~0u, -1, 0, {}}, 2'000'000'000) == 999'999'999);
static_assert(kvm_time_at({0, 0, 0, 0, 1u << 31, 3, 0, {}}, 125'000'000) == 500'000'000);

}  // namespace kiln

// The clock that KVM and Xen keep in memory that they share with a guest, in one format: the host's time
// at a value of the TSC and how it goes on from there (Linux Documentation/virt/kvm/x86/msr.rst, struct
// pvclock_vcpu_time_info; Xen public xen.h, struct vcpu_time_info). Context: any.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

struct pv_clock {
    u32 version, pad;
    u64 tsc_timestamp, system_time;
    u32 multiplier;
    i8 shift;
    u8 flags, padding[2];
};
static_assert(sizeof(pv_clock) == 32);

// What the host writes anew at any time is read whole: its `version` is odd while it is written, and
// another one afterwards. A host is done within a microsecond; one that does not get done has none.
template <class Versioned>
result<Versioned> read_versioned(const Versioned& shared) {
    constexpr u32 most_attempts = 1'000'000;
    const volatile u32& version = shared.version;
    for (u32 attempt = 0; attempt < most_attempts; ++attempt) {
        const u32 before = version;
        asm volatile("" ::: "memory");
        Versioned copy;
        __builtin_memcpy(&copy, &shared, sizeof(copy));
        asm volatile("" ::: "memory");
        if ((before & 1) == 0 && before == version) {
            return copy;
        }
    }
    return err::timedout;
}

// A shift by more than a number has bits is none that a host means.
constexpr bool is_usable(const pv_clock& clock) {
    return clock.multiplier != 0 && clock.shift > -64 && clock.shift < 64;
}

// Nanoseconds since the clock's zero; wall time at that zero is told separately.
constexpr u64 pv_time_at(const pv_clock& clock, u64 tsc) {
    const u64 delta = tsc - clock.tsc_timestamp;
    const u64 shifted = clock.shift < 0 ? delta >> -clock.shift : delta << clock.shift;
    return clock.system_time +
           static_cast<u64>(static_cast<unsigned __int128>(shifted) * clock.multiplier >> 32);
}

// The TSC's ticks a second.
constexpr u64 pv_frequency(const pv_clock& clock) {
    const u64 unshifted = (u64{1'000'000'000} << 32) / clock.multiplier;
    return clock.shift < 0 ? unshifted << -clock.shift : unshifted >> clock.shift;
}

// A second on a TSC of 2 GHz, which one shift halves; half a second on one of 250 MHz.
static_assert(pv_time_at({0, 0, 100, 7, 1u << 31, 0, 0, {}}, 2'000'000'100) == 1'000'000'007);
static_assert(pv_time_at({0, 0, 0, 0, ~0u, -1, 0, {}}, 2'000'000'000) == 999'999'999);
static_assert(pv_time_at({0, 0, 0, 0, 1u << 31, 3, 0, {}}, 125'000'000) == 500'000'000);
static_assert(pv_frequency({0, 0, 0, 0, 1u << 31, 0, 0, {}}) == 2'000'000'000);
static_assert(pv_frequency({0, 0, 0, 0, 1u << 31, 3, 0, {}}) == 250'000'000);

}  // namespace kiln

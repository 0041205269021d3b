// Time. Everything inside the kernel is nanoseconds since boot in 64 bits, monotonic across CPUs.
// Callable from any context.
#pragma once

#include "lib/types.hh"

namespace kiln {

inline constexpr u64 ns_per_us = 1'000;
inline constexpr u64 ns_per_ms = 1'000'000;
inline constexpr u64 ns_per_s = 1'000'000'000;

// A deadline that never comes.
inline constexpr u64 never = ~u64{0};

// Nanoseconds since boot.
u64 now();

// Nanoseconds since the Unix epoch.
u64 realtime_now();

// `duration` nanoseconds from now, never in case of overflow.
inline u64 deadline_after(u64 duration) {
    const u64 start = now();
    return duration >= never - start ? never : start + duration;
}

}  // namespace kiln

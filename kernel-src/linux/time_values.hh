// Times as programs give and get them: struct timespec and struct timeval of x86-64.
#pragma once

#include "core/clock.hh"
#include "core/user.hh"
#include "lib/result.hh"

namespace kiln {

struct user_timespec {
    i64 seconds;
    i64 nanoseconds;
};
struct user_timeval {
    i64 seconds;
    i64 microseconds;
};
struct user_itimerspec {
    user_timespec interval;
    user_timespec value;
};

constexpr user_timespec to_timespec(u64 ns) {
    return {static_cast<i64>(ns / ns_per_s), static_cast<i64>(ns % ns_per_s)};
}
constexpr user_timeval to_timeval(u64 ns) {
    return {static_cast<i64>(ns / ns_per_s), static_cast<i64>(ns % ns_per_s / ns_per_us)};
}

// Nanoseconds, the largest representable value when there are more (KTIME_MAX). err::inval when
// negative or not normalised.
inline result<u64> from_timespec(const user_timespec& value) {
    if (value.seconds < 0 || value.nanoseconds < 0 ||
        value.nanoseconds >= static_cast<i64>(ns_per_s)) {
        return err::inval;
    }
    const u64 seconds = static_cast<u64>(value.seconds);
    const u64 largest = ~u64{0} >> 1;
    if (seconds >= largest / ns_per_s) {
        return largest;
    }
    return seconds * ns_per_s + static_cast<u64>(value.nanoseconds);
}
inline result<u64> from_timeval(const user_timeval& value) {
    if (value.microseconds < 0 || value.microseconds >= 1'000'000) {
        return err::inval;
    }
    return from_timespec({value.seconds, value.microseconds * 1000});
}

inline result<u64> read_duration(u64 timespec_address) {
    return from_timespec(TRY(user_ptr<user_timespec>(timespec_address).read()));
}

// The moment, in nanoseconds since boot, at which the realtime clock shows `realtime`.
inline u64 deadline_of_realtime(u64 realtime) {
    const u64 wall = realtime_now();
    return realtime <= wall ? 0 : deadline_after(realtime - wall);
}

}  // namespace kiln

// The clocks that programs name by clockid_t.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

namespace clock_id {
inline constexpr i32 realtime = 0, monotonic = 1, process_cpu = 2, thread_cpu = 3, monotonic_raw = 4,
                     realtime_coarse = 5, monotonic_coarse = 6, boottime = 7, realtime_alarm = 8,
                     boottime_alarm = 9, tai = 11;
}

// process_user is what the program itself has used of process_cpu; no clockid_t names it.
enum class clock_kind : u8 { wall, since_boot, process_cpu, process_user, thread_cpu };

struct clock_choice {
    clock_kind kind;
    bool coarse = false;
    i32 tid = 0;  // of thread_cpu; 0: the calling thread
};

// err::inval for a clock that is not there.
result<clock_choice> choose_clock(i32 id);
// Its time in nanoseconds. err::inval when its thread has ended.
result<u64> read_clock(const clock_choice& clock);
// The moment since boot at which a wall or since-boot clock shows `time`.
u64 deadline_on(const clock_choice& clock, u64 time);

// Sleeps until then; false when a signal came first.
bool sleep_until(u64 deadline);

}  // namespace kiln

// The battery clock (MC146818), which counts whole seconds.
#pragma once

#include "lib/types.hh"

namespace kiln {

// Seconds since the epoch. Context: any.
u64 rtc_seconds();

// Steps the wall clock once, when the next second of the battery clock begins, in a thread of its own.
// Does nothing where realtime_is_settled(). After devices_init; context: threads.
void start_rtc_settling();

}  // namespace kiln

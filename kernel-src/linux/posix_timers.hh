// Interval timers and POSIX timers of the process.
#pragma once

namespace kiln {

// The process ends: nothing fires any more. Context: thread, no locks.
void stop_all_timers();

}  // namespace kiln

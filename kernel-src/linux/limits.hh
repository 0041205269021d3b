// Resource limits of the process (RLIMIT_*, include/uapi/asm-generic/resource.h). Each subsystem asks
// for its own when it matters. Context: any.
#pragma once

#include "lib/types.hh"

namespace kiln {

enum class limit : u32 {
    cpu, file_size, data, stack, core, resident, processes, open_files, locked_memory,
    address_space, locks, pending_signals, message_queues, nice, realtime_priority, realtime_time,
};
inline constexpr u32 limit_count = 16;
inline constexpr u64 unlimited = ~u64{0};

struct limit_values {
    u64 current;
    u64 maximum;
};

limit_values get_limit(limit which);
inline u64 current_limit(limit which) { return get_limit(which).current; }

}  // namespace kiln

// The views on the kernel's objects in /proc and /sys. Registered once at boot.
#pragma once

#include "lib/result.hh"

namespace kiln {

class text_sink;

// /proc/meminfo and /proc/vmstat; proc_memory.cc.
result<void> show_memory_figures(text_sink& to, u64 key);
result<void> show_memory_events(text_sink& to, u64 key);

result<void> add_process_views();  // /proc/<pid>
result<void> add_system_views();   // the rest of /proc
result<void> add_net_views();      // /proc/net
result<void> add_sys_views();      // /sys

}  // namespace kiln

// The address space as text: /proc/self/maps, smaps, smaps_rollup and statm, and the memory lines of
// /proc/self/status, in Linux's format. Context: threads, holding no locks.
#pragma once

#include "lib/format.hh"
#include "lib/result.hh"

namespace kiln {

result<void> write_maps(text_sink& to);
result<void> write_smaps(text_sink& to);
result<void> write_smaps_rollup(text_sink& to);
void write_statm(text_sink& to);
// From "VmPeak:" to "HugetlbPages:".
void write_memory_status(text_sink& to);

// The area that holds an address, as a line of maps, for reports about faults. False when there is none.
bool describe_area(u64 address, text_sink& to);

}  // namespace kiln

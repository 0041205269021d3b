// Loaders: what the kernel is told.
#pragma once

#include "pvh.hh"
#include "types.hh"

namespace boot {

inline void fill_start_info(hvm_start_info& info, u64 command_line, u64 rsdp, u64 memory_map,
                            u32 memory_ranges) {
    info = {};
    info.magic = start_info_magic;
    info.version = 1;
    info.command_line = command_line;
    info.rsdp = rsdp;
    info.memory_map = memory_map;
    info.memory_ranges = memory_ranges;
}

// BIOS loader: writes the start info and returns its address, after the memory map and the command
// line were read. It and all it points to lie below low_memory_end.
u32 build_start_info(u32 memory_ranges);

}  // namespace boot

// Loaders: what the kernel is told, the hvm_start_info of the PVH boot protocol, version 1 (Xen's
// include/public/arch-x86/hvm/start_info.h).
#pragma once

#include "types.hh"

namespace boot {

struct hvm_start_info {
    u32 magic;
    u32 version;
    u32 flags;
    u32 module_count;
    u64 modules;
    u64 command_line;
    u64 rsdp;
    u64 memory_map;
    u32 memory_ranges;
    u32 reserved;
};
static_assert(sizeof(hvm_start_info) == 56);

inline void fill_start_info(hvm_start_info& info, u64 command_line, u64 rsdp, u64 memory_map,
                            u32 memory_ranges) {
    info = {};
    info.magic = 0x336ec578;
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

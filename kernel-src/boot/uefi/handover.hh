// UEFI loader: the piece of memory from which the firmware's world is left for the kernel's.
//
// Invariants: it lies below 1 GiB, which the kernel's first page tables map, and outside the places of
// the kernel's segments; leave.S runs from its beginning with paging off, and so without any page
// table of the firmware, when it fills these places.
#pragma once

#include "../memory_map.hh"
#include "../start_info.hh"
#include "firmware.hh"

namespace boot {

constexpr u32 code_limit = 512;
constexpr u32 segment_limit = 16;
constexpr u32 command_line_limit = 0x4000;  // with the closing zero

// leave.S reads these.
struct copy_step {
    u32 from;
    u32 to;
    u32 bytes;
    u32 zeros;
};

struct handover {
    u8 code[code_limit];
    copy_step steps[segment_limit];
    hvm_start_info info;
    memory_range ranges[memory_map_limit];
    char command_line[command_line_limit];
};

inline constexpr u64 handover_end = 1ull << 30;

inline u32 low_address(const void* at) { return static_cast<u32>(reinterpret_cast<u64>(at)); }

// In leave.S: copies itself to `page`, and from there enters the kernel.
extern "C" [[noreturn]] void leave_firmware(handover* page, u32 steps, u32 start_info, u32 entry);
extern "C" [[gnu::visibility("hidden")]] const u8 leave_start[];
extern "C" [[gnu::visibility("hidden")]] const u8 leave_end[];

}  // namespace boot

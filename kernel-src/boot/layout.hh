// BIOS loader: what lies where, on the disk and in low memory.
//
// Purpose: the one place for the addresses stage 2 uses and for the header that the image builder
// fills in (plugins/module_utils/_disk_boot.py holds the same offsets).
// Invariants: everything the loader touches itself is below 0x30000; a kernel segment never is.
// Context: 32-bit protected mode, flat segments, no paging, interrupts off.
#pragma once

#include "types.hh"

namespace boot {

constexpr u32 sector_size = 512;

// Low memory. Stack below 0x7c00; stage 2 itself from 0x8000 to 0xffff.
constexpr u32 bounce_buffer = 0x10000;  // 64 KiB aligned: no transfer crosses a DMA boundary
constexpr u32 bounce_sectors = 127;     // the most every BIOS takes in one call
constexpr u32 start_info_address = 0x20000;
constexpr u32 memory_map_address = 0x20100;
constexpr u32 memory_map_limit = 128;
constexpr u32 command_line_address = 0x21000;
constexpr u32 command_line_limit = 0x4000;  // with the closing zero
constexpr u32 elf_header_address = 0x26000;
constexpr u32 note_address = 0x27000;
constexpr u32 note_limit = 0x1000;
constexpr u32 low_memory_end = 0x30000;

struct boot_header {
    u8 jump[4];
    char magic[8];
    u32 version;
    u32 sum_correction;  // makes the 32-bit sum over all of stage 2 zero
    u32 stage2_bytes;
    u64 kernel_block;
    u32 kernel_bytes;
    u32 command_line_bytes;
    u64 command_line_block;
    u32 kernel_check_low;  // two running sums over what is loaded, in program header order
    u32 kernel_check_high;
    u32 command_line_check_low;
    u32 command_line_check_high;
};
static_assert(sizeof(boot_header) == 64);

constexpr u32 header_version = 1;

extern "C" const boot_header loader_header;

// Fletcher's sum over little-endian 32-bit words; each piece is padded with zeros to a whole word.
struct checksum {
    u32 low = 0;
    u32 high = 0;

    void add(const void* bytes, u32 size);
};

}  // namespace boot

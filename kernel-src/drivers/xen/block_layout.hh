// What a virtual block device and its driver say to each other in their ring (Xen public io/blkif.h),
// as the x86-64 ABI lays it out. Sectors are 512 bytes here, whatever the disk's are.
#pragma once

#include "drivers/xen/grant_table.hh"

namespace kiln::xen {

enum class block_operation : u8 {
    read = 0,
    write = 1,
    write_barrier = 2,
    flush = 3,
    indirect = 6,
};

// Of one page: whole sectors, both named sectors included.
struct block_segment {
    grant_reference page;
    u8 first_sector, last_sector;
    u16 reserved;
};
static_assert(sizeof(block_segment) == 8);

inline constexpr u32 most_direct_segments = 11, most_indirect_pages = 8;
inline constexpr u32 segments_of_a_page = page_size / sizeof(block_segment);

struct block_request {
    block_operation operation;
    u8 segment_count;
    u16 device;
    u32 reserved;
    u64 id;
    u64 sector;
    block_segment segments[most_direct_segments];
};
static_assert(sizeof(block_request) == 112);

// With its segments in pages of their own.
struct indirect_block_request {
    block_operation operation;  // indirect
    block_operation indirect_operation;
    u16 segment_count;
    u32 reserved;
    u64 id;
    u64 sector;
    u16 device;
    u16 reserved_too;
    grant_reference segment_pages[most_indirect_pages];
};
static_assert(sizeof(indirect_block_request) == 64 && offsetof(indirect_block_request, device) == 24);

struct block_response {
    u64 id;
    block_operation operation;
    u8 reserved;
    i16 status;
    u32 reserved_too;
};
static_assert(sizeof(block_response) == 16 && offsetof(block_response, status) == 10);

namespace block_status {
inline constexpr i16 good = 0, error = -1, not_supported = -2;
}

// Bits of "info".
namespace block_info {
inline constexpr u64 read_only = 4;
}

}  // namespace kiln::xen

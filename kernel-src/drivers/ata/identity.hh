// What an ATA disk says of itself (ATA8-ACS, 7.16).
#pragma once

#include <span>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::ata {

struct disk_identity {
    u64 sectors;
    u32 sector_size;  // bytes
    bool has_write_cache;
    bool has_long_addresses;  // of 48 bits; else of 28
};

// err::opnotsupp for a disk without logical sectors, or with sectors that are no power of two from 512
// to a page.
result<disk_identity> read_identity(std::span<const u16, 256> words);

inline constexpr u64 most_short_sectors = u64{1} << 28;

}  // namespace kiln::ata

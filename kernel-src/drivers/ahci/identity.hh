// What a disk says of itself (ATA8-ACS, 7.16).
#pragma once

#include <span>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::ahci {

struct disk_identity {
    u64 sectors;
    u32 sector_size;  // bytes
    bool has_write_cache;
};

// err::opnotsupp for a disk without 48-bit addresses or with sectors that are no power of two from
// 512 to a page.
result<disk_identity> read_identity(std::span<const u16, 256> words);

}  // namespace kiln::ahci

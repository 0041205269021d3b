// Physical region pages: how a command names its buffers (NVM Express Base 1.4, 4.3).
#pragma once

#include <span>

#include "drivers/block/sector_disk.hh"

namespace kiln::nvme {

// What one command can move with one list, and the list's size. A list of 512 bytes never crosses a
// page when it is aligned to its size.
inline constexpr usize list_entries = 64;
inline constexpr usize longest_transfer = list_entries * page_size;

// Fills a command's two entries, and `list` when there are more than two pages. `pieces` join at
// pages (transfer_limits::joins_at_pages_only) and are at most longest_transfer bytes together.
void describe(std::span<const dma_piece> pieces, u64* list, u64 list_address, u64 (&entries)[2]);

}  // namespace kiln::nvme

// GPT partitions as block devices (UEFI 2.10, 5.3). Context: threads.
#pragma once

#include <string_view>

#include "fs/block_device.hh"

namespace kiln {

// Registers the disk's partitions, the first time, as block devices that are never freed. Returns the
// one with that name; null when the disk has no GPT or no such partition. A damaged table is said on
// the log.
block_device* find_partition(block_device& disk, std::string_view name);

}  // namespace kiln

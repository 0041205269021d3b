// /dev: a tmpfs with the nodes that programs expect, those of disks and partitions too, and the character
// devices behind them.
#pragma once

#include "fs/inode.hh"
#include "fs/special_files.hh"

namespace kiln {

result<superblock*> make_device_filesystem();

}  // namespace kiln

// kernel only: the registry of block devices is the drivers'.
//
// Finds the device that holds the root.
#include "fs/erofs.hh"
#include "fs/partition.hh"
#include "fs/pipe.hh"
#include "fs/vfs.hh"

namespace kiln {

block_device* find_root_device() {
    for (block_device* disk = first_block_device(); disk != nullptr;
         disk = next_block_device(*disk)) {
        if (erofs::detect(*disk)) {
            return disk;
        }
        if (block_device* part = find_partition(*disk, "kiln-root")) {
            return part;
        }
    }
    return nullptr;
}

}  // namespace kiln

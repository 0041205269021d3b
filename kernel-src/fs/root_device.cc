// kernel only: the registry of block devices is the drivers'.
//
// Finds the device that holds the root.
#include "fs/damage.hh"
#include "fs/erofs.hh"
#include "fs/erofs_format.hh"
#include "fs/partition.hh"
#include "fs/pipe.hh"
#include "fs/vfs.hh"

#include "lib/bytes.hh"
#include "lib/vector.hh"

namespace kiln {
namespace {

u32 magic_found(block_device& disk) {
    vector<std::byte> bytes;
    const bool read = bytes.resize(sizeof(u32)).ok() &&
                      disk.read(erofs_format::superblock_offset, bytes).ok();
    return read ? load<u32>(bytes.data()) : 0;
}

void describe(block_device& disk, sentence& to) {
    const u64 size = disk.size_in_bytes();
    if (size < erofs_format::superblock_offset + sizeof(erofs_format::superblock)) {
        to.add("; {} ends at offset {}, before a superblock at offset 1024", disk.name(), size);
    } else {
        to.add("; {} of {} bytes has {:08x} at offset 1024 where EROFS has e0f5e1e2, and no partition "
               "kiln-root", disk.name(), size, magic_found(disk));
    }
}

}  // namespace

void describe_disks(sentence& to) {
    if (first_block_device() == nullptr) {
        to.add("; there is no disk");
    }
    for (block_device* disk = first_block_device(); disk != nullptr;
         disk = next_block_device(*disk)) {
        if (disk->whole == nullptr) {
            describe(*disk, to);
        }
    }
    if (const sentence damage = last_damage(); !damage.empty()) {
        to.add("; {}", damage);
    }
}

block_device* find_root_device() {
    for (block_device* disk = first_block_device(); disk != nullptr;
         disk = next_block_device(*disk)) {
        if (disk->whole != nullptr) {
            continue;
        }
        if (erofs::detect(*disk)) {
            disk->partitions_known = true;
            return disk;
        }
        if (block_device* part = find_partition(*disk, "kiln-root")) {
            return part;
        }
    }
    return nullptr;
}

}  // namespace kiln

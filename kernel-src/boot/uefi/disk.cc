// See disk.hh.

#include "disk.hh"

#include "../console.hh"
#include "firmware.hh"

namespace boot {
namespace {

constexpr u32 path_limit = 2048;

[[noreturn]] void not_on_a_disk() {
    die("this loader was not started from a partition of a disk; start the machine from the disk "
        "that holds it");
}

// Copies the path up to its node of the partition, and ends it there: the path of the disk.
void copy_disk_path(const efi::device_path* from, u8* to) {
    for (u32 used = 0; !from->is_end();) {
        u32 bytes = from->bytes();
        if (from->is_partition()) {
            *reinterpret_cast<efi::device_path*>(to + used) = {0x7f, 0xff, {4, 0}};
            return;
        }
        if (bytes < sizeof *from || used + bytes + sizeof *from > path_limit) {
            not_on_a_disk();
        }
        auto* raw = reinterpret_cast<const u8*>(from);
        for (u32 at = 0; at < bytes; ++at) {
            to[used + at] = raw[at];
        }
        used += bytes;
        from = reinterpret_cast<const efi::device_path*>(raw + bytes);
    }
    not_on_a_disk();
}

efi::handle own_partition() {
    auto* loaded = find_protocol<efi::loaded_image>(this_image(), efi::loaded_image_protocol);
    if (loaded == nullptr || loaded->device == nullptr) {
        not_on_a_disk();
    }
    return loaded->device;
}

}  // namespace

boot_disk boot_disk::find() {
    u8 path[path_limit];
    auto* own = find_protocol<efi::device_path>(own_partition(), efi::device_path_protocol);
    if (own == nullptr) {
        not_on_a_disk();
    }
    copy_disk_path(own, path);
    auto* rest = reinterpret_cast<efi::device_path*>(path);
    efi::handle handle = nullptr;
    efi::status status = services().locate_device_path(&efi::block_io_protocol, &rest, &handle);
    if (status != efi::success || !rest->is_end()) {
        not_on_a_disk();
    }
    auto* device = find_protocol<efi::block_io>(handle, efi::block_io_protocol);
    if (device == nullptr || device->media->is_partition) {
        not_on_a_disk();
    }
    if (device->media->block_size != sector_size) {
        die("this disk has blocks of ", device->media->block_size, " bytes, and its image is made "
            "for ", sector_size, "; attach it as a disk with blocks of that size");
    }
    return boot_disk(device);
}

u8* boot_disk::read(u64 block, u32 bytes, const char* what) const {
    constexpr u64 reachable = 1ull << 32;
    // Nothing is read as one block: the firmware gives no memory of no pages.
    u64 blocks = bytes == 0 ? 1 : (static_cast<u64>(bytes) + sector_size - 1) / sector_size;
    u8* to = take_pages(blocks * sector_size, reachable, efi::loader_data, what);
    efi::status status = _device->read_blocks(_device, _device->media->id, block,
                                              blocks * sector_size, to);
    if (status != efi::success) {
        die("cannot read ", what, " (blocks ", hex{block}, " to ",
            hex{block + blocks - 1}, ", status ", hex{status & ~efi::error_bit},
            "); check the disk or write the image again");
    }
    return to;
}

}  // namespace boot

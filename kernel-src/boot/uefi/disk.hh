// UEFI loader: the disk that the loader itself was read from.
//
// The loader lies on the disk's EFI system partition; what it loads lies in another partition that no
// firmware has a file system for, so it is read by block from the whole disk.
#pragma once

#include "efi.hh"

namespace boot {

class boot_disk {
public:
    // Finds it, or dies.
    static boot_disk find();

    // Reads that many bytes from a block on into pages below 4 GiB; dies when the disk fails.
    u8* read(u64 block, u32 bytes, const char* what) const;

private:
    explicit boot_disk(efi::block_io* device) : _device(device) {}

    efi::block_io* _device;
};

}  // namespace boot

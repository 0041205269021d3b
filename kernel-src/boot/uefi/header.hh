// UEFI loader: what the image builder writes into the loader (plugins/module_utils/_disk_efi.py holds
// the same offsets), at the beginning of its section .kiln, byte 4,096 of the file.
//
// A signature of the loader covers this, and so the kernel and the command line by their sums.
#pragma once

#include "sha256.hh"

namespace boot {

struct efi_loader_header {
    char magic[8];
    u32 version;
    u32 kernel_bytes;
    u64 kernel_block;
    u64 command_line_block;
    u32 command_line_bytes;
    u32 reserved;
    digest kernel;
    digest command_line;
};
static_assert(sizeof(efi_loader_header) == 104);

constexpr u32 efi_header_version = 1;

// Hidden, as the file has no table of addresses that could be filled in when it is loaded.
extern "C" [[gnu::visibility("hidden")]] const efi_loader_header loader_header;

}  // namespace boot

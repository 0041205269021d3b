// What stat, statx and statfs report, and the S_IF* bits of a mode.
#pragma once

#include "lib/types.hh"

namespace kiln {

// S_IF* and permission bits (include/uapi/linux/stat.h).
namespace mode_bit {
inline constexpr u32 type_mask = 0170000, socket = 0140000, symlink = 0120000, regular = 0100000,
                     block = 0060000, directory = 0040000, character = 0020000, fifo = 0010000,
                     set_uid = 04000, set_gid = 02000, sticky = 01000, permissions = 07777;
}

inline constexpr bool is_directory(u32 mode) {
    return (mode & mode_bit::type_mask) == mode_bit::directory;
}
inline constexpr bool is_regular(u32 mode) {
    return (mode & mode_bit::type_mask) == mode_bit::regular;
}
inline constexpr bool is_symlink(u32 mode) {
    return (mode & mode_bit::type_mask) == mode_bit::symlink;
}
// DT_* of a directory entry is the type part of the mode.
inline constexpr u8 directory_entry_type(u32 mode) {
    return static_cast<u8>((mode & mode_bit::type_mask) >> 12);
}

struct timestamp {
    i64 seconds = 0;
    u32 nanoseconds = 0;
};
// The time of day now, as a file system stores it.
timestamp timestamp_now();

struct file_status {
    u64 device = 0;
    u64 inode_number = 0;
    u32 mode = 0;
    u32 links = 1;
    u32 uid = 0;
    u32 gid = 0;
    u64 special_device = 0;
    u64 size = 0;
    u64 blocks = 0;  // of 512 bytes
    u32 block_size = 4096;
    timestamp accessed;
    timestamp modified;
    timestamp changed;
    timestamp created;
    bool has_created = false;
    u64 mount_id = 0;
    bool mount_root = false;
};

struct filesystem_status {
    u64 magic = 0;
    u64 block_size = 4096;
    u64 blocks = 0;
    u64 free_blocks = 0;
    u64 files = 0;
    u64 free_files = 0;
    u64 id = 0;
    u64 flags = 0;  // ST_*
};

// Device numbers as Linux encodes them in 64 bits (new_encode_dev).
inline constexpr u64 make_device(u32 major, u32 minor) {
    return (minor & 0xff) | (u64{major} << 8) | (u64{minor & ~0xffu} << 12);
}
inline constexpr u32 device_major(u64 device) { return static_cast<u32>((device >> 8) & 0xfff); }
inline constexpr u32 device_minor(u64 device) {
    return static_cast<u32>((device & 0xff) | ((device >> 12) & 0xfff00));
}

}  // namespace kiln

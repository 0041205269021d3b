// On-disk structures of EROFS (Linux kernel documentation, filesystems/erofs; fs/erofs/erofs_fs.h
// names the fields). Little-endian; all offsets are bytes.
#pragma once

#include "lib/types.hh"

namespace kiln::erofs_format {

inline constexpr u64 superblock_offset = 1024;
inline constexpr u32 magic = 0xe0f5e1e2;
inline constexpr u32 null_block = 0xffff'ffff;
inline constexpr usize inode_slot = 32;

namespace compatible {
inline constexpr u32 checksum = 1u << 0;
}
namespace incompatible {
inline constexpr u32 zero_padding = 1u << 0, big_pcluster = 1u << 1, chunked_file = 1u << 2,
                     second_head = 1u << 3, tail_packing = 1u << 4, fragments = 1u << 5,
                     xattr_prefixes = 1u << 6;
// The same bit: the superblock is followed by compressor options, or there is a device table.
inline constexpr u32 compressor_options = big_pcluster, device_table = second_head;
inline constexpr u32 known = zero_padding | big_pcluster | chunked_file | second_head;
}  // namespace incompatible

struct superblock {
    u32 magic;
    u32 checksum;
    u32 compatible_features;
    u8 block_bits;
    u8 extension_slots;
    u16 root_number;
    u64 inode_count;
    u64 build_time;
    u32 build_time_ns;
    u32 blocks;
    u32 meta_block;
    u32 xattr_block;
    u8 uuid[16];
    u8 volume_name[16];
    u32 incompatible_features;
    u16 compression_algorithms;  // or LZ4's largest distance, without compressor options
    u16 extra_devices;
    u16 device_table_slot;
    u8 directory_block_bits;
    u8 xattr_prefix_count;
    u32 xattr_prefix_start;
    u64 packed_number;
    u8 reserved[24];
};
static_assert(sizeof(superblock) == 128);

struct compact_inode {
    u16 format;
    u16 xattr_count;
    u16 mode;
    u16 links;
    u32 size;
    u32 reserved;
    u32 where;  // first block, number of compressed blocks, device number or chunk format
    u32 inode_number;
    u16 uid;
    u16 gid;
    u32 reserved2;
};
static_assert(sizeof(compact_inode) == 32);

struct extended_inode {
    u16 format;
    u16 xattr_count;
    u16 mode;
    u16 reserved;
    u64 size;
    u32 where;
    u32 inode_number;
    u32 uid;
    u32 gid;
    u64 modified;
    u32 modified_ns;
    u32 links;
    u8 reserved2[16];
};
static_assert(sizeof(extended_inode) == 64);

enum class layout : u8 {
    plain = 0,
    compressed_full = 1,
    inline_tail = 2,
    compressed_compact = 3,
    chunked = 4
};

struct directory_entry {
    u64 number;
    u16 name_offset;
    u8 type;
    u8 reserved;
} __attribute__((packed));
static_assert(sizeof(directory_entry) == 12);

struct xattr_header {
    u32 name_filter;
    u8 shared_count;
    u8 reserved[7];
};
static_assert(sizeof(xattr_header) == 12);

struct xattr_entry {
    u8 name_length;
    u8 name_index;
    u16 value_size;
};
static_assert(sizeof(xattr_entry) == 4);

struct chunk_index {
    u16 advise;
    u16 device;
    u32 block;
};
static_assert(sizeof(chunk_index) == 8);
inline constexpr u32 chunk_bits_mask = 0x1f, chunk_has_indexes = 0x20;

struct compression_header {
    u16 reserved;
    u16 inline_size;
    u16 advise;
    u8 algorithms;
    u8 cluster_bits;
};
static_assert(sizeof(compression_header) == 8);
namespace compression_advice {
inline constexpr u16 compact_2_bytes = 1u << 0, big_pcluster_1 = 1u << 1, big_pcluster_2 = 1u << 2,
                     inline_pcluster = 1u << 3, interlaced = 1u << 4, fragment = 1u << 5;
}

// Logical clusters: what an index entry says of 4 KiB (or more) of a file.
enum class cluster : u8 { plain = 0, head1 = 1, nonhead = 2, head2 = 3 };
// In a nonhead's first delta: the rest counts the blocks of the physical cluster.
inline constexpr u32 block_count_mark = 1u << 11;

struct full_index {
    u16 advise;
    u16 offset;
    u32 block;  // or two deltas
};
static_assert(sizeof(full_index) == 8);

}  // namespace kiln::erofs_format

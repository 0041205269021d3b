// EROFS: the read-only root. Reads what mkfs.erofs makes: plain and tail-packed files, chunk-based
// files, LZ4-compressed files with full and compact indexes and big physical clusters.
//
// Metadata (superblock, inodes, directories, indexes) is read through the page cache of the device,
// file contents through a page cache for each inode. Nothing read from the device is trusted: every
// offset and length is checked, and damage is said on the log with the place and gives err::io.
// Locks: the inode table's spin lock. Context: threads.
#pragma once

#include "core/spinlock.hh"
#include "fs/block_device.hh"
#include "fs/damage.hh"
#include "fs/erofs_format.hh"
#include "fs/inode.hh"
#include "lib/list.hh"
#include "mm/page_cache.hh"

namespace kiln {

class erofs_inode;
class pipe_buffer;

// The bytes of a device, in whole pages.
class device_cache final : public page_cache {
public:
    explicit device_cache(block_device& device) : _device(device) {
        set_size(device.size_in_bytes());
    }
    ~device_cache() override { drop_all(); }

protected:
    result<void> fill(u64 first, std::span<page* const> pages) override;
    usize read_window(u64 index, u64& first) override;

private:
    block_device& _device;
};

// Reads consecutive bytes of a device into pages, `bytes` of them; the rest of the last page is
// zeroed.
result<void> read_pages(block_device& device, u64 offset, u64 bytes, std::span<page* const> pages);

class erofs final : public superblock {
public:
    // Whether the device carries the format at all.
    static bool detect(block_device& device);
    static result<erofs*> mount(block_device& device);
    // Ends a file system that nothing uses any more (tests).
    static void destroy(erofs* filesystem) { delete filesystem; }

    static constexpr usize longest_path_said = 160;

    result<ref<inode>> root() override;
    void status(filesystem_status& to) override;
    bool read_only() const override { return true; }

    result<ref<inode>> inode_by_number(u64 number);
    void forget(erofs_inode& gone);

    u64 block_size() const { return u64{1} << _super.block_bits; }
    u32 block_bits() const { return _super.block_bits; }
    u64 image_size() const { return u64{_super.blocks} << _super.block_bits; }
    u64 inode_offset(u64 number) const {
        return (u64{_super.meta_block} << _super.block_bits) + number * erofs_format::inode_slot;
    }
    const erofs_format::superblock& super() const { return _super; }
    device_cache& metadata() { return *_metadata; }
    block_device& device() { return _device; }
    bool has(u32 incompatible_feature) const {
        return (_super.incompatible_features & incompatible_feature) != 0;
    }

    // Says what is damaged, with the file's name if it has one by now, and where in the image; gives
    // the error to return.
    template <class... Args>
    err damaged(u64 inode_number, u64 offset, std::string_view pattern, const Args&... args) const {
        sentence what;
        what.set(pattern, args...);
        return say_damage(inode_number, offset, what);
    }
    // What a failed read of metadata is: damage, unless memory was short.
    err failed_read(err error, u64 inode_number, u64 offset, std::string_view what) const {
        return error == err::io ? damaged(inode_number, offset, what) : error;
    }
    // The same for the device, whose read of `bytes` gave an error.
    err unreadable(u64 inode_number, u64 offset, u64 bytes) const {
        return damaged(inode_number, offset, "the device does not give the {} bytes there", bytes);
    }

private:
    static constexpr usize bucket_count = 256;

    explicit erofs(block_device& device) : superblock("erofs"), _device(device) {}
    result<void> read_superblock();
    result<void> check_features() const;
    err truncated() const;
    result<void> check_checksum();
    err say_damage(u64 inode_number, u64 offset, std::string_view what) const;
    ref<erofs_inode> find(u64 number);

    block_device& _device;
    ref<device_cache> _metadata;
    erofs_format::superblock _super{};
    spinlock _lock;
    erofs_inode* _buckets[bucket_count] = {};
};

// Where a file's bytes are; the same for directories, links and regular files.
struct erofs_layout {
    erofs_format::layout kind = erofs_format::layout::plain;
    u64 inode_number = 0;
    u64 size = 0;
    u64 after_inode = 0;  // device offset of what follows the inode and its attributes
    u32 where = 0;
};

// Where the bytes of an uncompressed file at `offset` are on the device, and how many follow there.
struct erofs_extent {
    u64 device_offset = 0;
    u64 length = 0;
    bool hole = false;
};
result<erofs_extent> erofs_locate(erofs& filesystem, const erofs_layout& layout, u64 offset);
// Reads bytes of an uncompressed file through the device's page cache.
result<void> erofs_read_plain(erofs& filesystem, const erofs_layout& layout, u64 offset,
                              std::span<std::byte> to);

// The page cache of a file, by its layout.
result<ref<page_cache>> make_erofs_pages(erofs& filesystem, const erofs_layout& layout);
result<ref<page_cache>> make_compressed_pages(erofs& filesystem, const erofs_layout& layout);
// How far files are read ahead: aligned groups of pages, up to the end of the file.
usize erofs_read_window(u64 file_size, u64 index, u64& first);

class erofs_inode final : public inode {
public:
    static result<ref<erofs_inode>> load(erofs& owner, u64 number);
    ~erofs_inode() override;

    result<ref<inode>> lookup(std::string_view name) override;
    result<void> read_directory(u64 cookie, directory_sink& sink) override;
    result<string> read_link() override;
    result<void> status(file_status& to) override;
    result<ref<file>> open(dentry& entry, u32 flags) override;
    u64 size() override { return _layout.size; }
    page_cache* pages() override { return _pages.get(); }
    result<usize> get_xattr(std::string_view name, std::span<std::byte> to) override;
    result<usize> list_xattrs(std::span<std::byte> to) override;

    erofs_inode* next_in_bucket = nullptr;

private:
    friend class erofs;
    struct directory_block;

    erofs_inode(erofs& owner, u64 inode_number, u32 initial_mode)
        : inode(owner, inode_number, initial_mode) {}
    erofs& owner() const { return static_cast<erofs&>(filesystem); }
    result<void> read_block(u64 block, directory_block& to);
    result<void> take_compact(const erofs_format::compact_inode& from);
    result<void> take_extended(u64 offset);
    result<void> check(u64 offset);
    result<ref<inode>> inode_of_entry(const directory_block& block, u32 index);
    result<ref<inode>> lookup_in(const directory_block& block, std::string_view name);
    template <class Visit>
    result<void> visit_xattrs(Visit visit);

    erofs_layout _layout;
    u64 _xattr_offset = 0;
    u64 _xattr_size = 0;
    ref<page_cache> _pages;
    ref<pipe_buffer> _fifo;
};

}  // namespace kiln

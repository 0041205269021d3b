// How system calls that take a directory descriptor and a path find what they mean.
#pragma once

#include "fs/vfs.hh"
#include "linux/descriptors.hh"

namespace kiln {

namespace at_flag {
inline constexpr i32 working_directory = -100;
inline constexpr u32 symlink_nofollow = 0x100, remove_directory = 0x200, effective_access = 0x200,
                     symlink_follow = 0x400, no_automount = 0x800, empty_path = 0x1000,
                     sync_type = 0x6000;
}

// A path out of user memory: err::nametoolong from PATH_MAX on.
result<string> copy_path(u64 address);

// Where a relative path begins. An absolute one makes the descriptor irrelevant.
result<ref<dentry>> directory_of(int descriptor, std::string_view path);

// What a path names: an entry of the tree or, by a magic link or an empty path, an open file.
struct path_target {
    ref<dentry> entry;
    ref<file> open;

    // Null for files outside any file system.
    inode* node() const { return entry ? entry->target() : open->get_inode(); }
    result<void> status(file_status& to) const {
        return entry ? entry->target()->status(to) : open->status(to);
    }
};

// `flags`: symlink_nofollow and empty_path count.
result<path_target> find_target(int descriptor, u64 path_address, u32 flags);
// As above, for what only inodes have.
result<ref<inode>> find_inode(int descriptor, u64 path_address, u32 flags);
// The file of a descriptor, unless it is an O_PATH handle.
result<ref<file>> get_real_file(int fd);

}  // namespace kiln

// Operations on names and files, from the process's root and working directory.
//
// Context: threads, holding no locks. Paths are kernel memory.
#pragma once

#include <string_view>

#include "fs/dentry.hh"
#include "fs/file.hh"
#include "fs/fs_context.hh"
#include "lib/result.hh"
#include "lib/vector.hh"

namespace kiln {

class block_device;
class sentence;

inline constexpr usize path_max = 4096;  // with the NUL
inline constexpr usize name_max = 255;
inline constexpr u32 max_symlinks = 40;

// --- boot ---

// The first device, or partition named kiln-root, that holds EROFS; null when none does.
block_device* find_root_device();
// For the sentence that says that there is none: what each disk holds instead.
void describe_disks(sentence& to);
// Mounts EROFS from the device as the root, or an empty tmpfs without one. What is wrong with an
// image is last_damage() (fs/damage.hh).
result<void> mount_root(block_device* device);
// Mounts /dev, /dev/shm, /proc and /sys, making their mount points.
result<void> mount_standard_filesystems();
struct tmpfs_options {
    u64 size = 0;       // bytes; 0: half of memory
    bool copy = false;  // copy what is there now
    u32 mode = 01777;
};
result<void> mount_tmpfs(std::string_view path, const tmpfs_options& options);

// --- for the kernel's own use ---

result<ref<file>> open_path(std::string_view path, u32 flags, u32 mode = 0);
// err::fbig when it is longer than `limit`.
result<vector<char>> read_whole_file(std::string_view path, usize limit);

// --- path walk ---

// RESOLVE_* of openat2 and how the last component is treated.
struct walk_options {
    bool follow_last = true;
    bool want_parent = false;  // stop before the last component
    bool must_be_directory = false;
    bool allow_empty = false;  // "" is the start itself
    bool no_symlinks = false, no_magic_links = false, no_mount_crossing = false, beneath = false,
         in_root = false;
};

struct walk_result {
    ref<dentry> entry;  // may be negative only with want_parent's `last` looked up by the caller
    ref<file> open;     // a magic link led to a file without a name; `entry` is null then
    string last;        // want_parent: the last component …
    bool trailing_slash = false;
    bool last_is_special = false;  // … which was ".", ".." or missing ("/")
};

result<walk_result> walk(dentry& start, std::string_view path, const walk_options& options);
// The positive entry of a path, err::noent otherwise.
result<ref<dentry>> resolve(dentry& start, std::string_view path, bool follow = true);
// One name in a directory: positive or negative.
result<ref<dentry>> lookup_child(dentry& directory, std::string_view name);
// The same with the directory's inode locked by the caller.
result<ref<dentry>> lookup_child_locked(dentry& directory, std::string_view name);

// --- operations on names ---

result<ref<file>> open_at(dentry& start, std::string_view path, u32 flags, u32 mode,
                          const walk_options& options = {});
result<ref<file>> open_dentry(dentry& entry, u32 flags);
result<void> make_node_at(dentry& start, std::string_view path, u32 mode, u64 special_device);
result<void> make_directory_at(dentry& start, std::string_view path, u32 mode);
result<void> make_symlink_at(dentry& start, std::string_view path, std::string_view target);
result<void> link_at(dentry& existing, dentry& start, std::string_view path);
result<void> unlink_at(dentry& start, std::string_view path);
result<void> remove_directory_at(dentry& start, std::string_view path);
enum class rename_flag : u32 { none = 0, no_replace = 1, exchange = 2 };
result<void> rename_at(dentry& from_start, std::string_view from, dentry& to_start,
                       std::string_view to, u32 flags);
result<void> change_attributes(inode& target, const attribute_change& what);
result<void> truncate_inode(inode& target, u64 size);

// Bits of access(2): 4 read, 2 write, 1 execute. The program is root: only what root may not is
// refused.
result<void> check_access(inode& target, u32 wanted);

}  // namespace kiln

// Inodes and superblocks: what a file system implements.
//
// Life: intrusive references, held by dentries, open files and (tmpfs) by directory entries. A
// superblock lives for ever once mounted.
// Locks: inode::lock guards a directory's entries and a file's size; the caller (vfs) holds it
// around every operation below that says so. Two directories are locked parent first, else by
// address. Order: rename lock → inode::lock → the file system's own → page cache → block device.
// Context: threads.
#pragma once

#include <span>
#include <string_view>

#include "core/mutex.hh"
#include "fs/directory.hh"
#include "fs/file.hh"
#include "fs/stat.hh"
#include "lib/format.hh"
#include "lib/ref.hh"
#include "lib/result.hh"
#include "lib/string.hh"

namespace kiln {

namespace seal_bit {
inline constexpr u32 seal = 1, shrink = 2, grow = 4, write = 8, future_write = 16, exec = 32;
}

class page_cache;
class lock_list;
class inotify_list;

class superblock : noncopyable {
public:
    explicit superblock(std::string_view type_name);
    virtual ~superblock() = default;

    virtual result<ref<inode>> root() = 0;
    virtual void status(filesystem_status& to) = 0;
    virtual bool read_only() const { return false; }
    // Options as /proc/mounts shows them, after "rw" or "ro".
    virtual void describe_options(text_sink&) {}

    const std::string_view type;
    const u64 device;  // an anonymous device number of its own
    string source;     // first column of /proc/mounts
};

// What chmod, chown, utimensat change. Set fields are marked.
struct attribute_change {
    bool set_mode = false, set_uid = false, set_gid = false, set_accessed = false,
         set_modified = false;
    u32 mode = 0, uid = 0, gid = 0;
    timestamp accessed, modified;
};

// Where a magic link of /proc leads: to a dentry, or to an open file that has none.
struct link_target {
    ref<dentry> entry;
    ref<file> open;
};

class inode : public ref_counted<inode> {
public:
    inode(superblock& owner, u64 inode_number, u32 initial_mode);
    virtual ~inode();

    superblock& filesystem;
    const u64 number;
    mutex lock;
    u32 mode;
    u32 uid = 0;
    u32 gid = 0;
    u32 links = 1;
    u64 special_device = 0;
    bool linkable = false;  // though without a name: O_TMPFILE
    timestamp accessed, modified, changed, created;

    bool is_directory() const { return kiln::is_directory(mode); }
    bool is_regular() const { return kiln::is_regular(mode); }
    bool is_symlink() const { return kiln::is_symlink(mode); }

    // --- directories; `lock` is held ---
    virtual result<ref<inode>> lookup(std::string_view name);
    // Entries with cookies after `cookie` (0: from the start), without "." and "..". Cookies are
    // above 2.
    virtual result<void> read_directory(u64 cookie, directory_sink& sink);
    // A regular file, directory, fifo, socket or device node.
    virtual result<ref<inode>> create(std::string_view name, u32 mode, u64 special_device);
    virtual result<ref<inode>> create_symlink(std::string_view name, std::string_view target);
    virtual result<void> link(std::string_view name, inode& target);
    // The entry is there, is `target`, and is not (rmdir: is) a directory.
    virtual result<void> unlink(std::string_view name, inode& target);
    virtual result<void> remove_directory(std::string_view name, inode& target);
    // Moves an entry, replacing `replaced` unless null (types fit); exchanges them with `exchange`.
    virtual result<void> rename(std::string_view name, inode& moved, inode& to_directory,
                                std::string_view to_name, inode* replaced, bool exchange);
    // A file without a name (O_TMPFILE).
    virtual result<ref<inode>> create_unnamed(u32 mode);
    // Whether answers of lookup may be kept; no for what changes by itself (/proc/self/fd).
    virtual bool caches_lookups() const { return true; }

    // --- symbolic links ---
    virtual result<string> read_link();
    virtual bool is_magic_link() const { return false; }
    virtual result<link_target> follow_magic();

    // --- all ---
    virtual result<void> status(file_status& to);
    virtual result<void> change(const attribute_change& what);  // `lock` is held
    virtual result<ref<file>> open(dentry& entry, u32 flags);

    // --- regular files ---
    virtual u64 size() { return 0; }
    virtual page_cache* pages() { return nullptr; }
    virtual result<void> resize(u64 size);                            // `lock` is held
    virtual result<void> allocate(int mode, u64 offset, u64 length);  // `lock` is held
    // F_SEAL_* (memfd_create(2)); null for files that cannot be sealed.
    virtual std::atomic<u32>* seals() { return nullptr; }
    // Makes room for a write of [offset, offset + length) before it is done. `lock` is held.
    virtual result<void> prepare_write(u64 offset, u64 length);

    // --- extended attributes ---
    virtual result<usize> get_xattr(std::string_view name, std::span<std::byte> to);
    // Names, each with its NUL.
    virtual result<usize> list_xattrs(std::span<std::byte> to);
    virtual result<void> set_xattr(std::string_view name, std::span<const std::byte> value,
                                   int flags);
    virtual result<void> remove_xattr(std::string_view name);

    // Advisory locks on the file; made at the first use (fs/file_lock.hh).
    std::atomic<lock_list*> locks{nullptr};
    // Watches (fs/inotify.hh).
    std::atomic<inotify_list*> watches{nullptr};

protected:
    err refusal() const;  // rofs or perm: what a change of this file system's names gives
};

void touch_modified(inode& changed);

}  // namespace kiln

// Asking about files: stat, statx, statfs, access, readlink, directories, where the process is.
#include <algorithm>

#include "linux/path_arguments.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

// struct stat of x86-64.
struct user_stat {
    u64 device, inode_number, links;
    u32 mode, uid, gid, padding;
    u64 special_device;
    i64 size, block_size, blocks;
    i64 accessed, accessed_ns, modified, modified_ns, changed, changed_ns;
    i64 unused[3];
};
static_assert(sizeof(user_stat) == 144);

struct statx_time {
    i64 seconds;
    u32 nanoseconds;
    i32 padding;
};

// struct statx (include/uapi/linux/stat.h).
struct user_statx {
    u32 mask, block_size;
    u64 attributes;
    u32 links, uid, gid;
    u16 mode, padding;
    u64 inode_number, size, blocks, attributes_mask;
    statx_time accessed, created, changed, modified;
    u32 special_major, special_minor, device_major, device_minor;
    u64 mount_id;
    u32 direct_memory_alignment, direct_offset_alignment;
    u64 spare[12];
};
static_assert(sizeof(user_statx) == 256);

namespace statx_bit {
constexpr u32 basic = 0x7ff, created = 0x800, mount_id = 0x1000, reserved = 0x8000'0000;
constexpr u64 mount_root = 0x2000;
}  // namespace statx_bit

struct user_statfs {
    i64 magic, block_size;
    u64 blocks, free_blocks, available_blocks, files, free_files;
    u32 id[2];
    i64 name_length, fragment_size, flags, spare[4];
};
static_assert(sizeof(user_statfs) == 120);

user_stat to_user(const file_status& from) {
    user_stat made{};
    made.device = from.device;
    made.inode_number = from.inode_number;
    made.links = from.links;
    made.mode = from.mode;
    made.uid = from.uid;
    made.gid = from.gid;
    made.special_device = from.special_device;
    made.size = static_cast<i64>(from.size);
    made.block_size = from.block_size;
    made.blocks = static_cast<i64>(from.blocks);
    made.accessed = from.accessed.seconds;
    made.accessed_ns = from.accessed.nanoseconds;
    made.modified = from.modified.seconds;
    made.modified_ns = from.modified.nanoseconds;
    made.changed = from.changed.seconds;
    made.changed_ns = from.changed.nanoseconds;
    return made;
}

statx_time to_statx(const timestamp& from) {
    return {from.seconds, from.nanoseconds, 0};
}

user_statx to_statx(const file_status& from) {
    user_statx made{};
    made.mask =
        statx_bit::basic | statx_bit::mount_id | (from.has_created ? statx_bit::created : 0);
    made.block_size = from.block_size;
    made.attributes_mask = statx_bit::mount_root;
    made.attributes = from.mount_root ? statx_bit::mount_root : 0;
    made.links = from.links;
    made.uid = from.uid;
    made.gid = from.gid;
    made.mode = static_cast<u16>(from.mode);
    made.inode_number = from.inode_number;
    made.size = from.size;
    made.blocks = from.blocks;
    made.accessed = to_statx(from.accessed);
    made.created = to_statx(from.created);
    made.changed = to_statx(from.changed);
    made.modified = to_statx(from.modified);
    made.special_major = device_major(from.special_device);
    made.special_minor = device_minor(from.special_device);
    made.device_major = device_major(from.device);
    made.device_minor = device_minor(from.device);
    made.mount_id = from.mount_id;
    return made;
}

result<i64> stat_target(int directory, u64 path, u64 to, u32 flags) {
    const path_target target = TRY(find_target(directory, path, flags));
    file_status status;
    TRY(target.status(status));
    TRY(user_ptr<user_stat>(to).write(to_user(status)));
    return 0;
}

}  // namespace

SYSCALL(stat, u64 path, u64 to) {
    return stat_target(at_flag::working_directory, path, to, 0);
}

SYSCALL(lstat, u64 path, u64 to) {
    return stat_target(at_flag::working_directory, path, to, at_flag::symlink_nofollow);
}

SYSCALL(fstat, int fd, u64 to) {
    ref<file> open = TRY(get_file(fd));
    file_status status;
    TRY(open->status(status));
    TRY(user_ptr<user_stat>(to).write(to_user(status)));
    return 0;
}

SYSCALL(newfstatat, int directory, u64 path, u64 to, u32 flags) {
    constexpr u32 known = at_flag::symlink_nofollow | at_flag::empty_path | at_flag::no_automount;
    if ((flags & ~known) != 0) {
        return err::inval;
    }
    return stat_target(directory, path, to, flags);
}

SYSCALL(statx, int directory, u64 path, u32 flags, u32 mask, u64 to) {
    constexpr u32 known = at_flag::symlink_nofollow | at_flag::empty_path | at_flag::no_automount |
                          at_flag::sync_type;
    if ((flags & ~known) != 0 || (mask & statx_bit::reserved) != 0 ||
        (flags & at_flag::sync_type) == at_flag::sync_type) {
        return err::inval;
    }
    const path_target target = TRY(find_target(directory, path, flags));
    file_status status;
    TRY(target.status(status));
    if (dentry* const entry = target.entry ? target.entry.get() : target.open->get_dentry()) {
        status.mount_root = entry->is_mount_root();
        status.mount_id = entry->mount_id();
    }
    TRY(user_ptr<user_statx>(to).write(to_statx(status)));
    return 0;
}

namespace {

result<i64> statfs_inode(inode* node, u64 to) {
    constexpr i64 anonymous_magic = 0x09041934;
    constexpr i64 valid = 0x20, read_only = 1, no_time = 0x1000;
    user_statfs made{};
    made.magic = anonymous_magic;
    made.block_size = made.fragment_size = page_size;
    made.name_length = name_max;
    made.flags = valid | no_time;
    if (node != nullptr) {
        filesystem_status status;
        node->filesystem.status(status);
        made.magic = static_cast<i64>(status.magic);
        made.block_size = made.fragment_size = static_cast<i64>(status.block_size);
        made.blocks = status.blocks;
        made.free_blocks = made.available_blocks = status.free_blocks;
        made.files = status.files;
        made.free_files = status.free_files;
        made.id[0] = static_cast<u32>(node->filesystem.device);
        made.flags |= node->filesystem.read_only() ? read_only : 0;
    }
    TRY(user_ptr<user_statfs>(to).write(made));
    return 0;
}

}  // namespace

SYSCALL(statfs, u64 path, u64 to) {
    const path_target target = TRY(find_target(at_flag::working_directory, path, 0));
    return statfs_inode(target.node(), to);
}

SYSCALL(fstatfs, int fd, u64 to) {
    ref<file> open = TRY(get_file(fd));
    return statfs_inode(open->get_inode(), to);
}

namespace {

result<i64> check_target_access(int directory, u64 path, u32 mode, u32 flags) {
    constexpr u32 all = 7;
    if ((mode & ~all) != 0) {
        return err::inval;
    }
    const path_target target = TRY(find_target(directory, path, flags));
    if (inode* const node = target.node(); node != nullptr && mode != 0) {
        TRY(check_access(*node, mode));
    }
    return 0;
}

}  // namespace

SYSCALL(access, u64 path, u32 mode) {
    return check_target_access(at_flag::working_directory, path, mode, 0);
}

SYSCALL(faccessat, int directory, u64 path, u32 mode) {
    return check_target_access(directory, path, mode, 0);
}

SYSCALL(faccessat2, int directory, u64 path, u32 mode, u32 flags) {
    constexpr u32 known =
        at_flag::effective_access | at_flag::symlink_nofollow | at_flag::empty_path;
    if ((flags & ~known) != 0) {
        return err::inval;
    }
    return check_target_access(directory, path, mode, flags);
}

SYSCALL(readlinkat, int directory, u64 path, u64 to, i32 size) {
    if (size <= 0) {
        return err::inval;
    }
    const path_target target =
        TRY(find_target(directory, path, at_flag::symlink_nofollow | at_flag::empty_path));
    inode* const node = target.node();
    if (node == nullptr || !node->is_symlink()) {
        // "" without an O_PATH handle on a link is as if there were no such name.
        return target.open ? err::noent : err::inval;
    }
    string text = TRY(node->read_link());
    const usize length = std::min<usize>(text.size(), static_cast<usize>(size));
    TRY(copy_to_user(to, text.c_str(), length));
    return static_cast<i64>(length);
}

SYSCALL(readlink, u64 path, u64 to, i32 size) {
    return body_of_readlinkat(at_flag::working_directory, path, to, size);
}

// --- directories ---

namespace {

// Lays entries out as struct linux_dirent64, or the older struct linux_dirent with the type at its
// end.
class user_directory_sink final : public directory_sink {
public:
    user_directory_sink(u64 to, usize size, bool old_layout)
        : _to(to), _left(size), _old(old_layout) {}

    bool add(const directory_entry& entry) override {
        const usize head = _old ? 18 : 19;
        const usize length = align_up(head + entry.name.size() + 1 + (_old ? 1 : 0), 8);
        if (length > _left) {
            outcome = err::inval;
            return false;
        }
        std::byte record[align_up(20 + name_max + 2, 8)] = {};
        __builtin_memcpy(record, &entry.inode_number, 8);
        __builtin_memcpy(record + 8, &entry.cookie, 8);
        const u16 stored = static_cast<u16>(length);
        __builtin_memcpy(record + 16, &stored, 2);
        if (_old) {
            record[length - 1] = static_cast<std::byte>(entry.type);
        } else {
            record[18] = static_cast<std::byte>(entry.type);
        }
        __builtin_memcpy(record + head, entry.name.data(),
                         std::min<usize>(entry.name.size(), name_max));
        outcome = copy_to_user(_to, record, length);
        if (!outcome.ok()) {
            return false;
        }
        _to += length;
        _left -= length;
        written += length;
        return true;
    }

    usize written = 0;
    result<void> outcome;  // of the entry that was refused last

private:
    u64 _to;
    usize _left;
    const bool _old;
};

result<i64> list_directory(int fd, u64 to, u32 size, bool old_layout) {
    ref<file> open = TRY(get_real_file(fd));
    user_directory_sink sink(to, size, old_layout);
    lock_guard guard(open->position_lock);
    TRY(open->read_directory(sink));
    if (sink.written == 0) {
        TRY(std::move(sink.outcome));
    }
    return static_cast<i64>(sink.written);
}

}  // namespace

SYSCALL(getdents64, int fd, u64 to, u32 size) {
    return list_directory(fd, to, size, false);
}

SYSCALL(getdents, int fd, u64 to, u32 size) {
    return list_directory(fd, to, size, true);
}

SYSCALL(getcwd, u64 to, usize size) {
    char buffer[path_max];
    ref<dentry> here = working_directory();
    ref<dentry> root = root_directory();
    if (here->removed()) {
        return err::noent;
    }
    const std::string_view path = TRY(dcache::path_of(*here, root.get(), buffer));
    if (path.size() + 1 > size) {
        return err::range;
    }
    TRY(copy_to_user(to, path.data(), path.size()));
    TRY(user_ptr<char>(to + path.size()).write('\0'));
    return static_cast<i64>(path.size() + 1);
}

namespace {

result<ref<dentry>> find_directory(u64 path) {
    path_target target = TRY(find_target(at_flag::working_directory, path, 0));
    if (!target.entry || !target.entry->target()->is_directory()) {
        return err::notdir;
    }
    return std::move(target.entry);
}

}  // namespace

SYSCALL(chdir, u64 path) {
    set_working_directory(TRY(find_directory(path)));
    return 0;
}

SYSCALL(fchdir, int fd) {
    ref<file> open = TRY(get_file(fd));
    dentry* const entry = open->get_dentry();
    if (entry == nullptr || !entry->target()->is_directory()) {
        return err::notdir;
    }
    set_working_directory(ref<dentry>(entry));
    return 0;
}

SYSCALL(chroot, u64 path) {
    set_root_directory(TRY(find_directory(path)));
    return 0;
}

}  // namespace kiln

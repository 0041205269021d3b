// Changing the tree of files and what belongs to files: names, modes, owners, times, sizes.
#include "fs/block_device.hh"
#include "fs/inotify.hh"
#include "linux/path_arguments.hh"
#include "linux/syscall.hh"
#include "linux/time_values.hh"

namespace kiln {
namespace {

// A path to be changed and the directory it starts in.
struct name_argument {
    string path;
    ref<dentry> start;
};

result<name_argument> fetch_name(int directory, u64 path_address) {
    name_argument made;
    made.path = TRY(copy_path(path_address));
    made.start = TRY(directory_of(directory, made.path));
    return made;
}

result<i64> make_directory(int directory, u64 path, u32 mode) {
    const name_argument name = TRY(fetch_name(directory, path));
    TRY(make_directory_at(*name.start, name.path, mode));
    return 0;
}

result<i64> make_node(int directory, u64 path, u32 mode, u64 special_device) {
    const name_argument name = TRY(fetch_name(directory, path));
    switch (mode & mode_bit::type_mask) {
        case 0: mode |= mode_bit::regular; break;
        case mode_bit::regular:
        case mode_bit::character:
        case mode_bit::block:
        case mode_bit::fifo:
        case mode_bit::socket: break;
        case mode_bit::directory: return err::perm;
        default: return err::inval;
    }
    TRY(make_node_at(*name.start, name.path, mode, special_device));
    return 0;
}

result<i64> unlink_name(int directory, u64 path) {
    const name_argument name = TRY(fetch_name(directory, path));
    TRY(unlink_at(*name.start, name.path));
    return 0;
}

result<i64> remove_directory(int directory, u64 path) {
    const name_argument name = TRY(fetch_name(directory, path));
    TRY(remove_directory_at(*name.start, name.path));
    return 0;
}

result<i64> make_symlink(u64 target_address, int directory, u64 path) {
    string target = TRY(copy_path(target_address));
    const name_argument name = TRY(fetch_name(directory, path));
    TRY(make_symlink_at(*name.start, name.path, target));
    return 0;
}

result<i64> link_name(int old_directory, u64 old_path, int directory, u64 path, u32 flags) {
    if ((flags & ~(at_flag::symlink_follow | at_flag::empty_path)) != 0) {
        return err::inval;
    }
    const u32 walking = (flags & at_flag::empty_path) |
                        ((flags & at_flag::symlink_follow) != 0 ? 0 : at_flag::symlink_nofollow);
    path_target existing = TRY(find_target(old_directory, old_path, walking));
    dentry* const entry = existing.entry ? existing.entry.get() : existing.open->get_dentry();
    if (entry == nullptr) {
        return err::xdev;
    }
    const name_argument name = TRY(fetch_name(directory, path));
    TRY(link_at(*entry, *name.start, name.path));
    return 0;
}

result<i64> rename_name(int old_directory, u64 old_path, int directory, u64 path, u32 flags) {
    const name_argument from = TRY(fetch_name(old_directory, old_path));
    const name_argument to = TRY(fetch_name(directory, path));
    TRY(rename_at(*from.start, from.path, *to.start, to.path, flags));
    return 0;
}

constexpr int here = at_flag::working_directory;

}  // namespace

SYSCALL(mkdir, u64 path, u32 mode) {
    return make_directory(here, path, mode);
}

SYSCALL(mkdirat, int directory, u64 path, u32 mode) {
    return make_directory(directory, path, mode);
}

SYSCALL(mknod, u64 path, u32 mode, u32 device) {
    return make_node(here, path, mode, device);
}

SYSCALL(mknodat, int directory, u64 path, u32 mode, u32 device) {
    return make_node(directory, path, mode, device);
}

SYSCALL(unlink, u64 path) {
    return unlink_name(here, path);
}

SYSCALL(rmdir, u64 path) {
    return remove_directory(here, path);
}

SYSCALL(unlinkat, int directory, u64 path, u32 flags) {
    if ((flags & ~at_flag::remove_directory) != 0) {
        return err::inval;
    }
    return flags != 0 ? remove_directory(directory, path) : unlink_name(directory, path);
}

SYSCALL(symlink, u64 target, u64 path) {
    return make_symlink(target, here, path);
}

SYSCALL(symlinkat, u64 target, int directory, u64 path) {
    return make_symlink(target, directory, path);
}

SYSCALL(link, u64 old_path, u64 path) {
    return link_name(here, old_path, here, path, 0);
}

SYSCALL(linkat, int old_directory, u64 old_path, int directory, u64 path, u32 flags) {
    return link_name(old_directory, old_path, directory, path, flags);
}

SYSCALL(rename, u64 old_path, u64 path) {
    return rename_name(here, old_path, here, path, 0);
}

SYSCALL(renameat, int old_directory, u64 old_path, int directory, u64 path) {
    return rename_name(old_directory, old_path, directory, path, 0);
}

SYSCALL(renameat2, int old_directory, u64 old_path, int directory, u64 path, u32 flags) {
    return rename_name(old_directory, old_path, directory, path, flags);
}

SYSCALL(umask, u32 mask) {
    return set_file_mode_mask(mask);
}

// --- modes and owners ---

namespace {

result<i64> change_mode(inode& target, u32 mode) {
    attribute_change what;
    what.set_mode = true;
    what.mode = mode;
    TRY(change_attributes(target, what));
    return 0;
}

// -1 leaves an id as it is. A change of owner takes the set-id bits of files away.
result<i64> change_owner(inode& target, u32 uid, u32 gid) {
    constexpr u32 unchanged = ~0u;
    attribute_change what;
    what.set_uid = uid != unchanged;
    what.set_gid = gid != unchanged;
    what.uid = uid;
    what.gid = gid;
    if (!target.is_directory() && (what.set_uid || what.set_gid)) {
        what.set_mode = true;
        what.mode = target.mode & ~mode_bit::set_uid;
        if ((target.mode & 010) != 0) {
            what.mode &= ~mode_bit::set_gid;
        }
    }
    TRY(change_attributes(target, what));
    return 0;
}

result<ref<inode>> inode_of(int fd) {
    ref<file> open = TRY(get_real_file(fd));
    inode* const node = open->get_inode();
    if (node == nullptr) {
        return err::perm;
    }
    return ref<inode>(node);
}

}  // namespace

SYSCALL(chmod, u64 path, u32 mode) {
    ref<inode> target = TRY(find_inode(here, path, 0));
    return change_mode(*target, mode);
}

SYSCALL(fchmod, int fd, u32 mode) {
    ref<inode> target = TRY(inode_of(fd));
    return change_mode(*target, mode);
}

SYSCALL(fchmodat, int directory, u64 path, u32 mode) {
    ref<inode> target = TRY(find_inode(directory, path, 0));
    return change_mode(*target, mode);
}

SYSCALL(chown, u64 path, u32 uid, u32 gid) {
    ref<inode> target = TRY(find_inode(here, path, 0));
    return change_owner(*target, uid, gid);
}

SYSCALL(lchown, u64 path, u32 uid, u32 gid) {
    ref<inode> target = TRY(find_inode(here, path, at_flag::symlink_nofollow));
    return change_owner(*target, uid, gid);
}

SYSCALL(fchown, int fd, u32 uid, u32 gid) {
    ref<inode> target = TRY(inode_of(fd));
    return change_owner(*target, uid, gid);
}

SYSCALL(fchownat, int directory, u64 path, u32 uid, u32 gid, u32 flags) {
    if ((flags & ~(at_flag::symlink_nofollow | at_flag::empty_path)) != 0) {
        return err::inval;
    }
    ref<inode> target = TRY(find_inode(directory, path, flags));
    return change_owner(*target, uid, gid);
}

// --- times ---

namespace {

constexpr i64 time_now = 0x3fffffff, time_omit = 0x3ffffffe;

result<i64> change_times(int directory, u64 path, const user_timespec (&times)[2], u32 flags) {
    attribute_change what;
    const timestamp now = timestamp_now();
    auto choose = [&](const user_timespec& given, bool& set, timestamp& to) {
        set = given.nanoseconds != time_omit;
        to = given.nanoseconds == time_now
                 ? now
                 : timestamp{given.seconds, static_cast<u32>(given.nanoseconds)};
    };
    for (const user_timespec& given : times) {
        const bool special = given.nanoseconds == time_now || given.nanoseconds == time_omit;
        if (!special &&
            (given.nanoseconds < 0 || given.nanoseconds >= static_cast<i64>(ns_per_s))) {
            return err::inval;
        }
    }
    choose(times[0], what.set_accessed, what.accessed);
    choose(times[1], what.set_modified, what.modified);
    if (!what.set_accessed && !what.set_modified) {
        return 0;
    }
    // Without a path it is the descriptor's file (futimens).
    ref<inode> target =
        path == 0 ? TRY(inode_of(directory)) : TRY(find_inode(directory, path, flags));
    TRY(change_attributes(*target, what));
    return 0;
}

result<i64> change_times_from_timevals(int directory, u64 path, u64 times_address) {
    user_timespec times[2] = {{0, time_now}, {0, time_now}};
    if (times_address != 0) {
        user_timeval given[2];
        TRY(copy_from_user(given, times_address, sizeof(given)));
        for (int i = 0; i < 2; ++i) {
            if (given[i].microseconds < 0 || given[i].microseconds >= 1'000'000) {
                return err::inval;
            }
            times[i] = {given[i].seconds, given[i].microseconds * 1000};
        }
    }
    return change_times(directory, path, times, 0);
}

}  // namespace

SYSCALL(utimensat, int directory, u64 path, u64 times_address, u32 flags) {
    user_timespec times[2] = {{0, time_now}, {0, time_now}};
    if (times_address != 0) {
        TRY(copy_from_user(times, times_address, sizeof(times)));
    }
    if ((flags & ~(at_flag::symlink_nofollow | at_flag::empty_path)) != 0 ||
        (path == 0 && flags != 0)) {
        return err::inval;
    }
    return change_times(directory, path, times, flags);
}

SYSCALL(utimes, u64 path, u64 times) {
    return change_times_from_timevals(here, path, times);
}

SYSCALL(futimesat, int directory, u64 path, u64 times) {
    return change_times_from_timevals(directory, path, times);
}

SYSCALL(utime, u64 path, u64 times_address) {
    user_timespec times[2] = {{0, time_now}, {0, time_now}};
    if (times_address != 0) {
        i64 given[2];
        TRY(copy_from_user(given, times_address, sizeof(given)));
        times[0] = {given[0], 0};
        times[1] = {given[1], 0};
    }
    return change_times(here, path, times, 0);
}

// --- sizes and storage ---

SYSCALL(truncate, u64 path, i64 size) {
    if (size < 0) {
        return err::inval;
    }
    const path_target target = TRY(find_target(here, path, 0));
    if (target.node() == nullptr) {
        return err::inval;
    }
    TRY(truncate_inode(*target.node(), static_cast<u64>(size)));
    return 0;
}

SYSCALL(ftruncate, int fd, i64 size) {
    if (size < 0) {
        return err::inval;
    }
    ref<file> open = TRY(get_real_file(fd));
    if (!open->writable()) {
        return err::inval;
    }
    TRY(open->truncate(static_cast<u64>(size)));
    return 0;
}

SYSCALL(fallocate, int fd, i32 mode, i64 offset, i64 length) {
    if (offset < 0 || length <= 0) {
        return err::inval;
    }
    ref<file> open = TRY(get_real_file(fd));
    if (!open->writable()) {
        return err::badf;
    }
    if (offset > INT64_MAX - length) {
        return err::fbig;
    }
    if (open->as_pipe() != nullptr) {
        return err::spipe;
    }
    TRY(open->allocate(mode, static_cast<u64>(offset), static_cast<u64>(length)));
    return 0;
}

SYSCALL(fsync, int fd) {
    ref<file> open = TRY(get_real_file(fd));
    TRY(open->sync(false));
    return 0;
}

SYSCALL(fdatasync, int fd) {
    ref<file> open = TRY(get_real_file(fd));
    TRY(open->sync(true));
    return 0;
}

SYSCALL(sync) {
    static_cast<void>(flush_block_devices());
    return 0;
}

SYSCALL(syncfs, int fd) {
    TRY(get_real_file(fd));
    return 0;
}

SYSCALL(sync_file_range, int fd, i64 offset, i64 length, u32 flags) {
    ref<file> open = TRY(get_real_file(fd));
    if (offset < 0 || length < 0 || (flags & ~7u) != 0) {
        return err::inval;
    }
    return open->seekable() ? result<i64>(0) : err::spipe;
}

SYSCALL(fadvise64, int fd, i64, i64 length, i32 advice) {
    ref<file> open = TRY(get_real_file(fd));
    if (open->as_pipe() != nullptr) {
        return err::spipe;
    }
    return length < 0 || advice < 0 || advice > 5 ? result<i64>(err::inval) : result<i64>(0);
}

SYSCALL(readahead, int fd, i64, usize) {
    ref<file> open = TRY(get_real_file(fd));
    const bool regular = open->get_inode() != nullptr && open->get_inode()->is_regular();
    return !open->readable() ? result<i64>(err::badf) : regular ? result<i64>(0) : err::inval;
}

}  // namespace kiln

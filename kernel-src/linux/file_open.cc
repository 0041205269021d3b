// Opening and closing, and what belongs to a descriptor: duplicates, fcntl, ioctl, pipes, locks.
#include "fs/file_lock.hh"
#include "fs/pipe.hh"
#include "fs/stat.hh"
#include "linux/file_clone.hh"
#include "linux/file_signals.hh"
#include "linux/limits.hh"
#include "linux/path_arguments.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"
#include "mm/page_cache.hh"

namespace kiln {
namespace {

constexpr u32 known_open_flags = open_flag::access_mode | open_flag::creat | open_flag::excl |
                                 open_flag::noctty | open_flag::trunc | open_flag::append |
                                 open_flag::nonblock | open_flag::sync | open_flag::async |
                                 open_flag::direct | open_flag::largefile | open_flag::directory |
                                 open_flag::nofollow | open_flag::noatime | open_flag::cloexec |
                                 open_flag::path | open_flag::tmpfile;

result<i64> open_from(int directory, std::string_view path, u32 flags, u32 mode,
                      const walk_options& options = {}) {
    ref<dentry> start = TRY(directory_of(directory, path));
    // 64-bit programs always open large files, and F_GETFL shows it.
    const u32 large = (flags & open_flag::path) == 0 ? open_flag::largefile : 0;
    ref<file> made = TRY(open_at(*start, path, flags | large, mode, options));
    return TRY(install_descriptor(std::move(made), (flags & open_flag::cloexec) != 0));
}

result<i64> open_user(int directory, u64 path_address, u32 flags, u32 mode) {
    string path = TRY(copy_path(path_address));
    return open_from(directory, path, flags & known_open_flags, mode);
}

}  // namespace

SYSCALL(open, u64 path, u32 flags, u32 mode) {
    return open_user(at_flag::working_directory, path, flags, mode);
}

SYSCALL(openat, int directory, u64 path, u32 flags, u32 mode) {
    return open_user(directory, path, flags, mode);
}

SYSCALL(creat, u64 path, u32 mode) {
    return open_user(at_flag::working_directory, path,
                     open_flag::creat | open_flag::wronly | open_flag::trunc, mode);
}

namespace {

// struct open_how.
struct open_how {
    u64 flags;
    u64 mode;
    u64 resolve;
};

namespace resolve_flag {
constexpr u64 no_mount_crossing = 1, no_magic_links = 2, no_symlinks = 4, beneath = 8, in_root = 16,
              cached = 32;
}

// struct open_how may be longer than ours if the rest is zero.
result<open_how> read_open_how(u64 address, usize size) {
    open_how how{};
    if (size < sizeof(how)) {
        return err::inval;
    }
    if (size > page_size) {
        return err::too_big;
    }
    TRY(copy_from_user(&how, address, sizeof(how)));
    for (usize at = sizeof(how); at < size; ++at) {
        if (TRY(user_ptr<u8>(address + at).read()) != 0) {
            return err::too_big;
        }
    }
    return how;
}

result<void> check_open_how(const open_how& how) {
    constexpr u64 resolve_known = 63;
    if ((how.flags & ~u64{known_open_flags}) != 0 || (how.resolve & ~resolve_known) != 0) {
        return err::inval;
    }
    const bool creates = (how.flags & open_flag::creat) != 0 ||
                         (how.flags & open_flag::tmpfile) == open_flag::tmpfile;
    if (creates ? (how.mode & ~u64{mode_bit::permissions}) != 0 : how.mode != 0) {
        return err::inval;
    }
    if ((how.resolve & resolve_flag::beneath) != 0 && (how.resolve & resolve_flag::in_root) != 0) {
        return err::inval;
    }
    // Nothing promises here that a walk does not sleep.
    return (how.resolve & resolve_flag::cached) != 0 ? result<void>(err::again) : result<void>();
}

}  // namespace

SYSCALL(openat2, int directory, u64 path_address, u64 how_address, usize size) {
    const open_how how = TRY(read_open_how(how_address, size));
    TRY(check_open_how(how));
    string path = TRY(copy_path(path_address));
    const walk_options options{
        .no_symlinks = (how.resolve & resolve_flag::no_symlinks) != 0,
        .no_magic_links = (how.resolve & resolve_flag::no_magic_links) != 0,
        .no_mount_crossing = (how.resolve & resolve_flag::no_mount_crossing) != 0,
        .beneath = (how.resolve & resolve_flag::beneath) != 0,
        .in_root = (how.resolve & resolve_flag::in_root) != 0,
    };
    if (!options.in_root) {
        return open_from(directory, path, static_cast<u32>(how.flags), static_cast<u32>(how.mode),
                         options);
    }
    // The descriptor is the root: an absolute path begins there too.
    ref<dentry> start = TRY(directory_of(directory, "."));
    ref<file> made = TRY(open_at(*start, path, static_cast<u32>(how.flags) | open_flag::largefile,
                                 static_cast<u32>(how.mode), options));
    return TRY(install_descriptor(std::move(made), (how.flags & open_flag::cloexec) != 0));
}

SYSCALL(close, int fd) {
    TRY(close_descriptor(fd));
    return 0;
}

SYSCALL(close_range, u32 first, u32 last, u32 flags) {
    constexpr u32 unshare = 2, mark_cloexec = 4;
    if ((flags & ~(unshare | mark_cloexec)) != 0 || last < first) {
        return err::inval;
    }
    descriptors::close_range(first, last, (flags & mark_cloexec) != 0);
    return 0;
}

SYSCALL(dup, int fd) {
    ref<file> open = TRY(get_file(fd));
    return TRY(install_descriptor(std::move(open), false));
}

SYSCALL(dup3, int fd, int other, u32 flags) {
    if ((flags & ~open_flag::cloexec) != 0 || fd == other) {
        return err::inval;
    }
    ref<file> open = TRY(get_file(fd));
    TRY(descriptors::install_at(other, std::move(open), (flags & open_flag::cloexec) != 0));
    return other;
}

SYSCALL(dup2, int fd, int other) {
    ref<file> open = TRY(get_file(fd));
    if (fd != other) {
        TRY(descriptors::install_at(other, std::move(open), false));
    }
    return other;
}

SYSCALL(pipe2, u64 to, u32 flags) {
    if ((flags & ~(open_flag::cloexec | open_flag::nonblock | open_flag::direct)) != 0) {
        return err::inval;
    }
    pipe_ends ends = TRY(make_pipe(flags));
    int fds[2];
    TRY(descriptors::install_pair(std::move(ends.reader), std::move(ends.writer),
                                  (flags & open_flag::cloexec) != 0, fds));
    result<void> told = copy_to_user(to, fds, sizeof(fds));
    if (!told.ok()) {
        static_cast<void>(close_descriptor(fds[0]));
        static_cast<void>(close_descriptor(fds[1]));
        return told.error();
    }
    return 0;
}

extern "C" i64 sys_pipe2(u64, u64, u64, u64, u64, u64);

SYSCALL(pipe, u64 to) {
    const i64 outcome = sys_pipe2(to, 0, 0, 0, 0, 0);
    return outcome < 0 ? result<i64>(static_cast<err>(-outcome)) : result<i64>(outcome);
}

// --- fcntl ---

namespace {

namespace fcntl_command {
constexpr u32 duplicate = 0, get_descriptor_flags = 1, set_descriptor_flags = 2, get_flags = 3,
              set_flags = 4, get_lock = 5, set_lock = 6, set_lock_wait = 7,
              ofd_get_lock = 36, ofd_set_lock = 37, ofd_set_lock_wait = 38, get_lease = 1025, notify = 1026,
              duplicate_cloexec = 1030, set_pipe_size = 1031, get_pipe_size = 1032,
              add_seals = 1033, get_seals = 1034;
}
constexpr u64 close_on_exec_bit = 1;

// struct flock.
struct user_flock {
    i16 type;
    i16 whence;
    i32 padding;
    i64 start;
    i64 length;
    i32 pid;
    i32 padding2;
};
static_assert(sizeof(user_flock) == 32);
constexpr i16 lock_read = 0, lock_write = 1, lock_none = 2;

result<i64> duplicate(ref<file> open, u64 lowest, bool cloexec) {
    if (lowest >= descriptors::limit()) {
        return err::inval;
    }
    return TRY(install_descriptor(std::move(open), cloexec, static_cast<int>(lowest)));
}

result<i64> set_file_flags(file& open, int fd, u32 flags) {
    constexpr u32 changeable =
        open_flag::append | open_flag::nonblock | open_flag::direct | open_flag::noatime;
    TRY(set_async(open, fd, (flags & open_flag::async) != 0));
    open.set_flags((open.flags() & ~changeable) | (flags & changeable));
    return 0;
}

// The range of a struct flock: from a base, forwards or (negative length) backwards.
result<lock_request> make_request(file& open, const user_flock& from) {
    i64 base = 0;
    if (from.whence == 1) {
        base = static_cast<i64>(open.position);
    } else if (from.whence == 2) {
        file_status status;
        TRY(open.status(status));
        base = static_cast<i64>(status.size);
    } else if (from.whence != 0) {
        return err::inval;
    }
    i64 start = 0;
    if (__builtin_add_overflow(base, from.start, &start)) {
        return err::overflow;
    }
    i64 end = 0;
    if (from.length < 0) {
        end = start - 1;
        start += from.length;
    } else if (from.length != 0 && __builtin_add_overflow(start, from.length - 1, &end)) {
        return err::overflow;
    }
    if (start < 0 || (from.length < 0 && end < 0)) {
        return err::inval;
    }
    return lock_request{.exclusive = from.type == lock_write,
                        .start = static_cast<u64>(start),
                        .end = from.length == 0 ? ~u64{0} : static_cast<u64>(end)};
}

result<i64> test_lock(inode& target, lock_request request, user_flock& told, u64 address) {
    if (!find_file_lock(target, request)) {
        told.type = lock_none;
    } else {
        told.type = request.exclusive ? lock_write : lock_read;
        told.whence = 0;
        told.start = static_cast<i64>(request.start);
        told.length =
            request.end == ~u64{0} ? 0 : static_cast<i64>(request.end - request.start + 1);
        told.pid = request.owner == nullptr ? process_id : -1;
    }
    TRY(user_ptr<user_flock>(address).write(told));
    return 0;
}

result<i64> record_lock(file& open, u32 command, u64 address) {
    user_flock from = TRY(user_ptr<user_flock>(address).read());
    const bool by_file = command >= fcntl_command::ofd_get_lock;
    if (by_file && from.pid != 0) {
        return err::inval;
    }
    inode* const target = open.get_inode();
    if (target == nullptr || from.type < lock_read || from.type > lock_none) {
        return err::inval;
    }
    lock_request request = TRY(make_request(open, from));
    request.owner = by_file ? &open : nullptr;
    if (command == fcntl_command::get_lock || command == fcntl_command::ofd_get_lock) {
        return from.type == lock_none ? result<i64>(err::inval)
                                      : test_lock(*target, request, from, address);
    }
    if (from.type == lock_none) {
        TRY(clear_file_lock(*target, request));
        return 0;
    }
    if (from.type == lock_read ? !open.readable() : !open.writable()) {
        return err::badf;
    }
    const bool wait =
        command == fcntl_command::set_lock_wait || command == fcntl_command::ofd_set_lock_wait;
    result<void> outcome = set_file_lock(*target, request, wait);
    if (!outcome.ok()) {
        return outcome.error() == err::intr ? err::restart_sys : outcome.error();
    }
    return 0;
}

result<i64> pipe_size(file& open, u32 command, u64 argument) {
    pipe_buffer* const pipe = open.as_pipe();
    if (pipe == nullptr) {
        return err::badf;
    }
    if (command == fcntl_command::get_pipe_size) {
        return static_cast<i64>(pipe->capacity());
    }
    if (argument > 0x7fff'ffff) {
        return err::inval;
    }
    return static_cast<i64>(TRY(pipe->set_capacity(argument)));
}

result<i64> add_seals(file& open, u64 wanted) {
    constexpr u64 known = 63;
    inode* const target = open.get_inode();
    if (target == nullptr || target->seals() == nullptr || (wanted & ~known) != 0) {
        return err::inval;
    }
    if (!open.writable()) {
        return err::perm;
    }
    lock_guard guard(target->lock);
    std::atomic<u32>& seals = *target->seals();
    if ((seals & seal_bit::seal) != 0) {
        return err::perm;
    }
    if ((wanted & seal_bit::write) != 0 && (seals & seal_bit::write) == 0 &&
        target->pages()->mappings != 0) {
        return err::busy;
    }
    seals |= static_cast<u32>(wanted);
    return 0;
}

result<i64> get_seals(file& open) {
    inode* const target = open.get_inode();
    if (target == nullptr || target->seals() == nullptr) {
        return err::inval;
    }
    return target->seals()->load();
}

// Without events it takes back what was asked for; with some it is refused, so nothing ever was.
result<i64> directory_notification(u32 events) {
    constexpr u32 more_than_once = 0x8000'0000;
    return (events & ~more_than_once) == 0 ? result<i64>(0) : err::inval;
}

bool allowed_on_path_files(u32 command) {
    return command == fcntl_command::duplicate || command == fcntl_command::duplicate_cloexec ||
           command == fcntl_command::get_descriptor_flags ||
           command == fcntl_command::set_descriptor_flags || command == fcntl_command::get_flags;
}

}  // namespace

// Leases are refused, and so is F_NOTIFY with events (inotify does that).
SYSCALL(fcntl, int fd, u32 command, u64 argument) {
    ref<file> open = TRY(get_file(fd));
    if ((open->flags() & open_flag::path) != 0 && !allowed_on_path_files(command)) {
        return err::badf;
    }
    switch (command) {
        case fcntl_command::duplicate: return duplicate(std::move(open), argument, false);
        case fcntl_command::duplicate_cloexec: return duplicate(std::move(open), argument, true);
        case fcntl_command::get_descriptor_flags:
            return TRY(descriptors::close_on_exec(fd)) ? 1 : 0;
        case fcntl_command::set_descriptor_flags:
            TRY(descriptors::set_close_on_exec(fd, (argument & close_on_exec_bit) != 0));
            return 0;
        case fcntl_command::get_flags: return static_cast<i64>(open->flags());
        case fcntl_command::set_flags: return set_file_flags(*open, fd, static_cast<u32>(argument));
        case fcntl_command::get_lock:
        case fcntl_command::set_lock:
        case fcntl_command::set_lock_wait:
        case fcntl_command::ofd_get_lock:
        case fcntl_command::ofd_set_lock:
        case fcntl_command::ofd_set_lock_wait: return record_lock(*open, command, argument);
        case fcntl_command::set_pipe_size:
        case fcntl_command::get_pipe_size: return pipe_size(*open, command, argument);
        case fcntl_command::get_lease: return lock_none;
        case fcntl_command::notify: return directory_notification(static_cast<u32>(argument));
        case fcntl_command::add_seals: return add_seals(*open, argument);
        case fcntl_command::get_seals: return get_seals(*open);
        default: return signal_fcntl(*open, command, argument);
    }
}

SYSCALL(flock, int fd, u32 operation) {
    constexpr u32 shared = 1, exclusive = 2, nonblocking = 4, unlock = 8;
    ref<file> open = TRY(get_real_file(fd));
    const u32 kind = operation & ~nonblocking;
    inode* const target = open->get_inode();
    if (kind != shared && kind != exclusive && kind != unlock) {
        return err::inval;
    }
    if (target == nullptr) {
        return err::badf;
    }
    const lock_request request{.exclusive = kind == exclusive,
                               .start = 0,
                               .end = ~u64{0},
                               .owner = open.get(),
                               .flock = true};
    if (kind == unlock) {
        TRY(clear_file_lock(*target, request));
        return 0;
    }
    result<void> outcome = set_file_lock(*target, request, (operation & nonblocking) == 0);
    if (!outcome.ok()) {
        return outcome.error() == err::intr ? err::restart_sys : outcome.error();
    }
    return 0;
}

SYSCALL(ioctl, int fd, u32 command, u64 argument) {
    constexpr u32 clear_cloexec = 0x5450, set_cloexec = 0x5451, set_nonblocking = 0x5421,
                  change_async = 0x5452;
    ref<file> open = TRY(get_real_file(fd));
    switch (command) {
        case set_cloexec:
        case clear_cloexec:
            TRY(descriptors::set_close_on_exec(fd, command == set_cloexec));
            return 0;
        case set_nonblocking: {
            const bool on = TRY(user_ptr<i32>(argument).read()) != 0;
            open->set_flags(on ? open->flags() | open_flag::nonblock
                               : open->flags() & ~open_flag::nonblock);
            return 0;
        }
        case change_async: {
            const bool on = TRY(user_ptr<i32>(argument).read()) != 0;
            if (!open->can_signal() && on != ((open->flags() & open_flag::async) != 0)) {
                return err::notty;
            }
            TRY(set_async(*open, fd, on));
            return 0;
        }
        default:
            if (is_clone_ioctl(command)) {
                return clone_ioctl(*open, command, argument);
            }
            return is_owner_ioctl(command) ? owner_ioctl(*open, command, argument)
                                           : open->ioctl(command, argument);
    }
}

}  // namespace kiln

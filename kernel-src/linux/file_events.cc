// Descriptors that are no files: eventfd, timerfd, memfd, inotify.
#include "fs/eventfd.hh"
#include "fs/inotify.hh"
#include "fs/timerfd.hh"
#include "fs/tmpfs.hh"
#include "linux/clocks.hh"
#include "linux/path_arguments.hh"
#include "linux/syscall.hh"
#include "linux/time_values.hh"

namespace kiln {
namespace {

bool cloexec(u32 flags) {
    return (flags & open_flag::cloexec) != 0;
}

result<i64> open_eventfd(u32 value, u32 flags) {
    constexpr u32 semaphore = 1;
    if ((flags & ~(semaphore | open_flag::cloexec | open_flag::nonblock)) != 0) {
        return err::inval;
    }
    ref<file> made = TRY(make_eventfd(value, (flags & semaphore) != 0, flags));
    return TRY(install_descriptor(std::move(made), cloexec(flags)));
}

}  // namespace

SYSCALL(eventfd, u32 value) {
    return open_eventfd(value, 0);
}

SYSCALL(eventfd2, u32 value, u32 flags) {
    return open_eventfd(value, flags);
}

// --- timerfd ---

SYSCALL(timerfd_create, i32 clock, u32 flags) {
    if ((flags & ~(open_flag::cloexec | open_flag::nonblock)) != 0) {
        return err::inval;
    }
    switch (clock) {
        case clock_id::realtime:
        case clock_id::monotonic:
        case clock_id::boottime:
        case clock_id::realtime_alarm:
        case clock_id::boottime_alarm: break;
        default: return err::inval;
    }
    const bool on_wall_clock = clock == clock_id::realtime || clock == clock_id::realtime_alarm;
    ref<file> made = TRY(make_ref<timerfd_file>(clock, on_wall_clock,
                                                open_flag::rdwr | (flags & open_flag::nonblock)));
    return TRY(install_descriptor(std::move(made), cloexec(flags)));
}

namespace {

result<ref<file>> timer_of(int fd) {
    ref<file> open = TRY(get_file(fd));
    if (open->as_timerfd() == nullptr) {
        return err::inval;
    }
    return open;
}

result<void> tell_setting(timerfd_file& of, u64 address) {
    const timerfd_file::setting now_set = of.get();
    return user_ptr<user_itimerspec>(address).write(
        {to_timespec(now_set.interval), to_timespec(now_set.left)});
}

}  // namespace

SYSCALL(timerfd_settime, int fd, u32 flags, u64 new_address, u64 old_address) {
    constexpr u32 absolute = 1, cancel_on_set = 2;
    if ((flags & ~(absolute | cancel_on_set)) != 0) {
        return err::inval;
    }
    const user_itimerspec wanted = TRY(user_ptr<user_itimerspec>(new_address).read());
    const u64 value = TRY(from_timespec(wanted.value));
    const u64 interval = TRY(from_timespec(wanted.interval));
    ref<file> open = TRY(timer_of(fd));
    timerfd_file& timer = *open->as_timerfd();
    if (old_address != 0) {
        TRY(tell_setting(timer, old_address));
    }
    u64 deadline = never;
    if (value != 0) {
        const clock_choice clock = TRY(choose_clock(timer.clock_id));
        deadline = (flags & absolute) != 0 ? deadline_on(clock, value) : deadline_after(value);
    }
    const bool is_absolute = (flags & absolute) != 0;
    timer.set(deadline, interval,
              {.absolute = is_absolute,
               .cancelled_by_step = is_absolute && (flags & cancel_on_set) != 0});
    return 0;
}

SYSCALL(timerfd_gettime, int fd, u64 address) {
    ref<file> open = TRY(timer_of(fd));
    TRY(tell_setting(*open->as_timerfd(), address));
    return 0;
}

// --- memfd, inotify ---

SYSCALL(memfd_create, u64 name_address, u32 flags) {
    constexpr u32 close_on_exec = 1, allow_sealing = 2, huge_pages = 4, no_exec = 8, exec = 16;
    constexpr usize longest_name = 249;
    if ((flags & ~(close_on_exec | allow_sealing | no_exec | exec)) != 0 ||
        (flags & huge_pages) != 0) {
        return err::inval;
    }
    result<string> given = copy_string_from_user(name_address, longest_name);
    if (!given.ok()) {
        return given.error() == err::nametoolong ? err::inval : given.error();
    }
    string name = TRY(string::copy("memfd:"));
    TRY(name.append(given.value()));
    ref<file> made = TRY(make_memory_file(name, open_flag::rdwr | open_flag::largefile,
                                          (flags & allow_sealing) != 0));
    return TRY(install_descriptor(std::move(made), (flags & close_on_exec) != 0));
}

namespace {

result<i64> open_inotify(u32 flags) {
    if ((flags & ~(open_flag::cloexec | open_flag::nonblock)) != 0) {
        return err::inval;
    }
    ref<file> made = TRY(make_inotify(flags));
    return TRY(install_descriptor(std::move(made), cloexec(flags)));
}

}  // namespace

SYSCALL(inotify_init) {
    return open_inotify(0);
}

SYSCALL(inotify_init1, u32 flags) {
    return open_inotify(flags);
}

SYSCALL(inotify_add_watch, int fd, u64 path, u32 mask) {
    ref<file> instance = TRY(get_file(fd));
    const u32 walking = (mask & inotify_event_bit::no_follow) != 0 ? at_flag::symlink_nofollow : 0;
    const path_target target = TRY(find_target(at_flag::working_directory, path, walking));
    if (!target.entry) {
        return err::inval;
    }
    return TRY(inotify_add(*instance, *target.entry, mask));
}

SYSCALL(inotify_rm_watch, int fd, i32 watch) {
    ref<file> instance = TRY(get_file(fd));
    TRY(inotify_remove(*instance, watch));
    return 0;
}

}  // namespace kiln

// kernel only: resource limits, and passing those on memory and files to who checks them.
#include "fs/fd_table.hh"
#include "fs/inode_file.hh"
#include "linux/limits.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"
#include "mm/address_space.hh"

namespace kiln {
namespace {

inline constexpr u64 open_files_ceiling = 1'048'576;  // fs.nr_open

result<void> check(limit which, const limit_values& wanted, const limit_values& current) {
    if (wanted.current > wanted.maximum) {
        return err::inval;
    }
    if (which == limit::open_files && wanted.maximum > open_files_ceiling) {
        return err::perm;
    }
    const bool raises = wanted.maximum > current.maximum;
    return raises && the_process().creds.euid != 0 ? err::perm : result<void>();
}

// The address space and the descriptor table keep copies of their own, to be read without a lock.
void tell_owner(limit which, u64 value) {
    memory_limits& limits = the_address_space().limits;
    switch (which) {
    case limit::stack: limits.stack = value; break;
    case limit::data: limits.data = value; break;
    case limit::address_space: limits.address_space = value; break;
    case limit::locked_memory: limits.locked = value; break;
    case limit::file_size: file_size_limit = value; break;
    case limit::open_files: descriptors::set_limit(static_cast<u32>(value)); break;
    default: break;
    }
}

result<void> set_limit(limit which, const limit_values& wanted) {
    process& self = the_process();
    {
        lock_guard guard(self.identity_lock);
        limit_values& stored = self.limits[static_cast<u32>(which)];
        TRY(check(which, wanted, stored));
        stored = wanted;
    }
    tell_owner(which, wanted.current);
    return {};
}

result<limit> choose(u32 number) {
    if (number >= limit_count) {
        return err::inval;
    }
    return static_cast<limit>(number);
}

bool is_our_process(i32 pid) {
    irq_guard guard(the_process().signal_lock);
    return pid == 0 || find_task(pid) != nullptr;
}

}  // namespace

SYSCALL(getrlimit, u32 number, user_ptr<limit_values> to) {
    const limit which = TRY(choose(number));
    TRY(to.write(get_limit(which)));
    return 0;
}

SYSCALL(setrlimit, u32 number, user_ptr<limit_values> from) {
    const auto wanted = TRY(from.read());
    const limit which = TRY(choose(number));
    TRY(set_limit(which, wanted));
    return 0;
}

SYSCALL(prlimit64, i32 pid, u32 number, user_ptr<limit_values> from, user_ptr<limit_values> to) {
    const limit which = TRY(choose(number));
    limit_values wanted{};
    if (from) {
        wanted = TRY(from.read());
    }
    if (!is_our_process(pid)) {
        return err::srch;
    }
    const limit_values before = get_limit(which);
    if (from) {
        TRY(set_limit(which, wanted));
    }
    if (to) {
        TRY(to.write(before));
    }
    return 0;
}

}  // namespace kiln

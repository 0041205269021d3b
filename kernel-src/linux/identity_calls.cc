// kernel only: the system calls on who the process is: ids, groups, sessions, capabilities, names.
//
// There is one set of credentials, of the process. On Linux each thread has its own and libc changes
// them in every thread; the result is the same. Nothing is ever refused by permission but what root
// would be refused too, since the program starts as root and files are checked by fs/.
#include "linux/process.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

inline constexpr u32 keep = ~u32{0};

bool privileged(const credentials& creds) {
    return creds.euid == 0;
}

template <class Change>
result<i64> change_credentials(Change change) {
    process& self = the_process();
    lock_guard guard(self.identity_lock);
    TRY(change(self.creds));
    return 0;
}

template <class Read>
auto read_credentials(Read read) {
    process& self = the_process();
    lock_guard guard(self.identity_lock);
    return read(self.creds);
}

// capabilities(7): leaving uid 0 drops them, unless they are to be kept; coming back to it as the
// effective uid brings the permitted ones back.
void adjust_capabilities(credentials& creds, const credentials& before) {
    const bool was_root = before.ruid == 0 || before.euid == 0 || before.suid == 0;
    const bool is_root = creds.ruid == 0 || creds.euid == 0 || creds.suid == 0;
    if (was_root && !is_root && !creds.keep_caps) {
        creds.cap_permitted = 0;
        creds.cap_effective = 0;
        creds.cap_ambient = 0;
    } else if (before.euid == 0 && creds.euid != 0) {
        creds.cap_effective = 0;
    } else if (before.euid != 0 && creds.euid == 0) {
        creds.cap_effective = creds.cap_permitted;
    }
}

// The same rules serve users and groups: which of the three ids may become what.
struct id_set {
    u32 &real, &effective, &saved, &file;
    bool may_be(u32 id) const { return id == keep || id == real || id == effective || id == saved; }
};
id_set users(credentials& c) { return {c.ruid, c.euid, c.suid, c.fsuid}; }
id_set groups(credentials& c) { return {c.rgid, c.egid, c.sgid, c.fsgid}; }

result<void> set_id(id_set ids, u32 id, bool root) {
    if (id == keep) {
        return err::inval;
    }
    if (root) {
        ids.real = ids.saved = id;
    } else if (id != ids.real && id != ids.saved) {
        return err::perm;
    }
    ids.effective = ids.file = id;
    return {};
}

result<void> set_real_effective(id_set ids, u32 real, u32 effective, bool root) {
    const bool real_allowed = real == keep || real == ids.real || real == ids.effective;
    if (!root && (!real_allowed || !ids.may_be(effective))) {
        return err::perm;
    }
    const u32 old_real = ids.real;
    if (real != keep) {
        ids.real = real;
    }
    if (effective != keep) {
        ids.effective = effective;
    }
    if (real != keep || (effective != keep && effective != old_real)) {
        ids.saved = ids.effective;
    }
    ids.file = ids.effective;
    return {};
}

result<void> set_all_three(id_set ids, u32 real, u32 effective, u32 saved, bool root) {
    if (!root && (!ids.may_be(real) || !ids.may_be(effective) || !ids.may_be(saved))) {
        return err::perm;
    }
    if (real != keep) {
        ids.real = real;
    }
    if (effective != keep) {
        ids.effective = effective;
    }
    if (saved != keep) {
        ids.saved = saved;
    }
    ids.file = ids.effective;
    return {};
}

template <class Change>
result<i64> change_users(Change change) {
    return change_credentials([&](credentials& creds) -> result<void> {
        const credentials before = creds;
        TRY(change(users(creds), privileged(creds)));
        adjust_capabilities(creds, before);
        return {};
    });
}

template <class Change>
result<i64> change_groups(Change change) {
    return change_credentials(
        [&](credentials& creds) { return change(groups(creds), privileged(creds)); });
}

// setfsuid and setfsgid return the old value, whatever happens.
i64 set_file_id(id_set ids, u32 id, bool root) {
    const u32 before = ids.file;
    if (id != keep && (root || ids.may_be(id) || id == ids.file)) {
        ids.file = id;
    }
    return before;
}

}  // namespace

SYSCALL(getuid) {
    return the_process().creds.ruid;
}
SYSCALL(geteuid) {
    return the_process().creds.euid;
}
SYSCALL(getgid) {
    return the_process().creds.rgid;
}
SYSCALL(getegid) {
    return the_process().creds.egid;
}

SYSCALL(setuid, u32 id) {
    return change_users([=](id_set ids, bool root) { return set_id(ids, id, root); });
}
SYSCALL(setgid, u32 id) {
    return change_groups([=](id_set ids, bool root) { return set_id(ids, id, root); });
}
SYSCALL(setreuid, u32 real, u32 effective) {
    return change_users(
        [=](id_set ids, bool root) { return set_real_effective(ids, real, effective, root); });
}
SYSCALL(setregid, u32 real, u32 effective) {
    return change_groups(
        [=](id_set ids, bool root) { return set_real_effective(ids, real, effective, root); });
}
SYSCALL(setresuid, u32 real, u32 effective, u32 saved) {
    return change_users(
        [=](id_set ids, bool root) { return set_all_three(ids, real, effective, saved, root); });
}
SYSCALL(setresgid, u32 real, u32 effective, u32 saved) {
    return change_groups(
        [=](id_set ids, bool root) { return set_all_three(ids, real, effective, saved, root); });
}

SYSCALL(getresuid, user_ptr<u32> real, user_ptr<u32> effective, user_ptr<u32> saved) {
    const credentials creds = read_credentials([](const credentials& c) { return c; });
    TRY(real.write(creds.ruid));
    TRY(effective.write(creds.euid));
    TRY(saved.write(creds.suid));
    return 0;
}
SYSCALL(getresgid, user_ptr<u32> real, user_ptr<u32> effective, user_ptr<u32> saved) {
    const credentials creds = read_credentials([](const credentials& c) { return c; });
    TRY(real.write(creds.rgid));
    TRY(effective.write(creds.egid));
    TRY(saved.write(creds.sgid));
    return 0;
}

SYSCALL(setfsuid, u32 id) {
    lock_guard guard(the_process().identity_lock);
    credentials& creds = the_process().creds;
    return set_file_id(users(creds), id, privileged(creds));
}
SYSCALL(setfsgid, u32 id) {
    lock_guard guard(the_process().identity_lock);
    credentials& creds = the_process().creds;
    return set_file_id(groups(creds), id, privileged(creds));
}

SYSCALL(getgroups, i32 size, user_ptr<u32> to) {
    const credentials creds = read_credentials([](const credentials& c) { return c; });
    if (size < 0) {
        return err::inval;
    }
    if (size == 0) {
        return creds.group_count;
    }
    if (static_cast<u32>(size) < creds.group_count) {
        return err::inval;
    }
    TRY(to.write_array(std::span(creds.groups, creds.group_count)));
    return creds.group_count;
}

// Differs from Linux: at most 32 groups (there 65,536).
SYSCALL(setgroups, u64 size, user_ptr<u32> from) {
    if (size > group_limit) {
        return err::inval;
    }
    u32 wanted[group_limit];
    TRY(from.read_array(std::span(wanted, size)));
    return change_credentials([&](credentials& creds) -> result<void> {
        if (!privileged(creds)) {
            return err::perm;
        }
        __builtin_memcpy(creds.groups, wanted, size * sizeof(u32));
        creds.group_count = static_cast<u32>(size);
        return {};
    });
}

// --- process groups and sessions: there is one process in all ---

namespace {

bool is_self(i32 pid) {
    return pid == 0 || pid == process_id;
}

}  // namespace

SYSCALL(getpgrp) {
    return the_process().group_id;
}

SYSCALL(getpgid, i32 pid) {
    if (!is_self(pid)) {
        return err::srch;
    }
    return the_process().group_id;
}

SYSCALL(getsid, i32 pid) {
    if (!is_self(pid)) {
        return err::srch;
    }
    return the_process().session_id;
}

SYSCALL(setpgid, i32 pid, i32 group) {
    if (group < 0) {
        return err::inval;
    }
    if (!is_self(pid)) {
        return err::srch;
    }
    // It leads its session, and a session leader's group cannot change.
    return err::perm;
}

// It leads its group already.
SYSCALL(setsid) {
    return err::perm;
}

// --- capabilities ---

namespace {

struct user_cap_header {
    u32 version;
    i32 pid;
};
struct user_cap_data {
    u32 effective, permitted, inheritable;
};
inline constexpr u32 cap_version_1 = 0x19980330, cap_version_2 = 0x20071026,
                     cap_version_3 = 0x20080522;

// How many blocks of 32 capabilities this version has. An unknown one is answered with ours.
result<usize> cap_blocks(user_ptr<user_cap_header> header, u32 version) {
    switch (version) {
    case cap_version_1: return 1;
    case cap_version_2:
    case cap_version_3: return 2;
    default: break;
    }
    TRY(copy_to_user(header.address(), &cap_version_3, sizeof(cap_version_3)));
    return err::inval;
}

bool names_us(i32 pid) {
    irq_guard guard(the_process().signal_lock);
    return pid == 0 || find_task(pid) != nullptr;
}

}  // namespace

SYSCALL(capget, user_ptr<user_cap_header> header, user_ptr<user_cap_data> to) {
    const auto wanted = TRY(header.read());
    const result<usize> blocks = cap_blocks(header, wanted.version);
    if (!blocks.ok()) {
        // Asking for the version only: no data wanted.
        return !to && blocks.error() == err::inval ? result<i64>(0) : blocks.error();
    }
    if (wanted.pid < 0) {
        return err::inval;
    }
    if (!names_us(wanted.pid)) {
        return err::srch;
    }
    if (!to) {
        return 0;
    }
    const credentials creds = read_credentials([](const credentials& c) { return c; });
    for (usize i = 0; i < blocks.value(); ++i) {
        const usize shift = i * 32;
        TRY(to.at(i).write({static_cast<u32>(creds.cap_effective >> shift),
                            static_cast<u32>(creds.cap_permitted >> shift),
                            static_cast<u32>(creds.cap_inheritable >> shift)}));
    }
    return 0;
}

SYSCALL(capset, user_ptr<user_cap_header> header, user_ptr<user_cap_data> from) {
    const auto wanted = TRY(header.read());
    const usize blocks = TRY(cap_blocks(header, wanted.version));
    if (!is_self(wanted.pid) && wanted.pid != current_task()->tid) {
        return err::perm;
    }
    u64 effective = 0;
    u64 permitted = 0;
    u64 inheritable = 0;
    for (usize i = 0; i < blocks; ++i) {
        const auto block = TRY(from.at(i).read());
        effective |= u64{block.effective} << (i * 32);
        permitted |= u64{block.permitted} << (i * 32);
        inheritable |= u64{block.inheritable} << (i * 32);
    }
    return change_credentials([=](credentials& creds) -> result<void> {
        const u64 known = (u64{2} << last_capability) - 1;
        if ((permitted & known & ~creds.cap_permitted) != 0 || (effective & ~permitted & known) != 0) {
            return err::perm;
        }
        creds.cap_permitted = permitted & known;
        creds.cap_effective = effective & known;
        creds.cap_inheritable = inheritable & known;
        return {};
    });
}

}  // namespace kiln

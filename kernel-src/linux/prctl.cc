// kernel only: prctl and arch_prctl.
#include "arch/x86_64/segments.hh"
#include "core/thread.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

// include/uapi/linux/prctl.h, by number.
namespace option {
inline constexpr i32 set_pdeathsig = 1, get_pdeathsig = 2, get_dumpable = 3, set_dumpable = 4,
                     get_keepcaps = 7, set_keepcaps = 8, get_timing = 13, set_timing = 14,
                     set_name = 15, get_name = 16, get_seccomp = 21, capbset_read = 23,
                     capbset_drop = 24, get_tsc = 25, set_tsc = 26, get_securebits = 27,
                     set_securebits = 28, set_timerslack = 29, get_timerslack = 30,
                     mce_kill_get = 34, set_child_subreaper = 36, get_child_subreaper = 37,
                     set_no_new_privs = 38, get_no_new_privs = 39, set_thp_disable = 41,
                     get_thp_disable = 42, cap_ambient = 47, set_vma = 0x53564d41;
}

result<i64> write_number(u64 to, i32 value) {
    TRY(user_ptr<i32>(to).write(value));
    return 0;
}

result<i64> set_name(u64 from) {
    char name[comm_size] = {};
    for (usize i = 0; i < comm_size - 1; ++i) {
        name[i] = TRY(user_ptr<char>(from + i).read());
        if (name[i] == '\0') {
            break;
        }
    }
    set_comm(*current_task(), name);
    return 0;
}

result<i64> get_name(u64 to) {
    TRY(copy_to_user(to, current_task()->comm, comm_size));
    return 0;
}

bool is_capability(u64 number) {
    return number <= static_cast<u64>(last_capability);
}

result<i64> bounding_set(i32 which, u64 capability) {
    if (!is_capability(capability)) {
        return err::inval;
    }
    process& self = the_process();
    lock_guard guard(self.identity_lock);
    const u64 bit = u64{1} << capability;
    if (which == option::capbset_drop) {
        self.creds.cap_bounding &= ~bit;
        return 0;
    }
    return (self.creds.cap_bounding & bit) != 0 ? 1 : 0;
}

// PR_CAP_AMBIENT_IS_SET 1, RAISE 2, LOWER 3, CLEAR_ALL 4.
result<i64> ambient_set(u64 action, u64 capability, u64 a4, u64 a5) {
    process& self = the_process();
    lock_guard guard(self.identity_lock);
    credentials& creds = self.creds;
    if (action == 4) {
        if ((capability | a4 | a5) != 0) {
            return err::inval;
        }
        creds.cap_ambient = 0;
        return 0;
    }
    if ((a4 | a5) != 0 || !is_capability(capability)) {
        return err::inval;
    }
    const u64 bit = u64{1} << capability;
    switch (action) {
    case 1:
        return (creds.cap_ambient & bit) != 0 ? 1 : 0;
    case 2:
        if ((creds.cap_permitted & creds.cap_inheritable & bit) == 0) {
            return err::perm;
        }
        creds.cap_ambient |= bit;
        return 0;
    case 3:
        creds.cap_ambient &= ~bit;
        return 0;
    default:
        return err::inval;
    }
}

result<i64> no_new_privileges(u64 value, u64 a3, u64 a4, u64 a5) {
    if (value != 1 || (a3 | a4 | a5) != 0) {
        return err::inval;
    }
    the_process().no_new_privileges = true;
    return 0;
}

result<i64> set_slack(u64 value) {
    // 0, or a negative number, sets the default.
    current_task()->timer_slack = static_cast<i64>(value) <= 0 ? 50'000 : value;
    return 0;
}

// PR_SET_VMA_ANON_NAME is 0: naming an area changes nothing but /proc/self/maps, which does without.
result<i64> name_area(u64 what, u64 start, u64 size) {
    if (what != 0 || !is_aligned(start, page_size) || start + size < start) {
        return err::inval;
    }
    return 0;
}

result<i64> set_death_signal(u64 signo) {
    if (signo > static_cast<u64>(signal_limit)) {
        return err::inval;
    }
    current_task()->parent_death_signal = static_cast<i32>(signo);
    return 0;
}

result<i64> set_dumpable(u64 value) {
    if (value > 1) {
        return err::inval;
    }
    the_process().dumpable = static_cast<i32>(value);
    return 0;
}

result<i64> set_keepcaps(u64 value) {
    if (value > 1) {
        return err::inval;
    }
    lock_guard guard(the_process().identity_lock);
    the_process().creds.keep_caps = value != 0;
    return 0;
}

result<i64> get_thp(u64 a2, u64 a3, u64 a4, u64 a5) {
    return (a2 | a3 | a4 | a5) != 0 ? result<i64>(err::inval) : the_process().no_large_pages;
}

result<i64> set_thp(u64 value, u64 a3, u64 a4, u64 a5) {
    if ((a3 | a4 | a5) != 0) {
        return err::inval;
    }
    the_process().no_large_pages = value != 0;
    return 0;
}

}  // namespace

SYSCALL(prctl, i32 what, u64 a2, u64 a3, u64 a4, u64 a5) {
    switch (what) {
    case option::set_pdeathsig: return set_death_signal(a2);
    case option::get_pdeathsig: return write_number(a2, current_task()->parent_death_signal);
    case option::get_dumpable: return the_process().dumpable;
    case option::set_dumpable: return set_dumpable(a2);
    case option::get_keepcaps: return the_process().creds.keep_caps ? 1 : 0;
    case option::set_keepcaps: return set_keepcaps(a2);
    case option::get_timing: return 0;
    case option::set_timing: return a2 == 0 ? result<i64>(0) : result<i64>(err::inval);
    case option::set_name: return set_name(a2);
    case option::get_name: return get_name(a2);
    case option::get_seccomp: return 0;
    case option::capbset_read:
    case option::capbset_drop: return bounding_set(what, a2);
    case option::get_tsc: return write_number(a2, 1);  // PR_TSC_ENABLE
    case option::set_tsc: return a2 == 1 ? result<i64>(0) : result<i64>(err::inval);
    case option::get_securebits: return the_process().creds.secure_bits;
    case option::set_securebits: return err::perm;
    case option::set_timerslack: return set_slack(a2);
    case option::get_timerslack: return static_cast<i64>(current_task()->timer_slack);
    case option::mce_kill_get: return 2;  // PR_MCE_KILL_DEFAULT
    case option::set_child_subreaper: the_process().child_subreaper = a2 != 0; return 0;
    case option::get_child_subreaper: return write_number(a2, the_process().child_subreaper ? 1 : 0);
    case option::set_no_new_privs: return no_new_privileges(a2, a3, a4, a5);
    case option::get_no_new_privs:
        return (a2 | a3 | a4 | a5) != 0 ? result<i64>(err::inval)
                                        : result<i64>(the_process().no_new_privileges ? 1 : 0);
    case option::set_thp_disable: return set_thp(a2, a3, a4, a5);
    case option::get_thp_disable: return get_thp(a2, a3, a4, a5);
    case option::cap_ambient: return ambient_set(a2, a3, a4, a5);
    case option::set_vma: return name_area(a2, a3, a4);
    default: return err::inval;
    }
}

namespace {

namespace arch_option {
inline constexpr i32 set_gs = 0x1001, set_fs = 0x1002, get_fs = 0x1003, get_gs = 0x1004,
                     get_cpuid = 0x1011, set_cpuid = 0x1012;
}

}  // namespace

// Differs from Linux: GS is the kernel's own, since there is one privilege level. ARCH_SET_GS is EPERM,
// ARCH_GET_GS answers 0.
SYSCALL(arch_prctl, i32 what, u64 argument) {
    switch (what) {
    case arch_option::set_fs:
        if (argument >= user_end) {
            return err::perm;
        }
        set_fs_base(argument);
        return 0;
    case arch_option::get_fs: TRY(user_ptr<u64>(argument).write(get_fs_base())); return 0;
    case arch_option::set_gs: return err::perm;
    case arch_option::get_gs: TRY(user_ptr<u64>(argument).write(0)); return 0;
    case arch_option::get_cpuid: return 1;
    case arch_option::set_cpuid: return err::nodev;
    default: return err::inval;
    }
}

}  // namespace kiln

// kernel only: the system calls on the machine as a whole: names, figures, randomness, power, and those
// that exist only to be refused.
#include "arch/x86_64/paging.hh"
#include "core/clock.hh"
#include "core/entropy.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"
#include "linux/entry.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

struct user_utsname {
    char system[65];
    char node[65];
    char release[65];
    char version[65];
    char machine[65];
    char domain[65];
};
static_assert(sizeof(user_utsname) == 390);

template <usize Size>
void fill(char (&to)[Size], std::string_view from) {
    from.copy(to, Size - 1);
}

template <usize Size>
result<i64> set_name(char (&name)[Size], u64 from, i32 length) {
    if (length < 0 || length > 64) {
        return err::inval;
    }
    char fresh[Size] = {};
    TRY(copy_from_user(fresh, from, static_cast<usize>(length)));
    lock_guard guard(the_process().identity_lock);
    __builtin_memcpy(name, fresh, Size);
    return 0;
}

}  // namespace

// The release says what the ABI is like: libc and the Go and Java run times read a version from it.
SYSCALL(uname, user_ptr<user_utsname> to) {
    user_utsname names{};
    fill(names.system, "Linux");
    fill(names.release, "6.1.0-kiln");
    fill(names.version, "#1 SMP PREEMPT_DYNAMIC Kiln");
    fill(names.machine, "x86_64");
    {
        lock_guard guard(the_process().identity_lock);
        fill(names.node, the_process().hostname);
        fill(names.domain, the_process().domainname);
    }
    TRY(to.write(names));
    return 0;
}

SYSCALL(sethostname, u64 from, i32 length) {
    return set_name(the_process().hostname, from, length);
}

SYSCALL(setdomainname, u64 from, i32 length) {
    return set_name(the_process().domainname, from, length);
}

namespace {

struct user_sysinfo {
    i64 uptime;
    u64 loads[3];
    u64 total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
    u16 processes;
    u16 padding;
    u64 total_high, free_high;
    u32 unit;
};
static_assert(sizeof(user_sysinfo) == 112);

}  // namespace

SYSCALL(sysinfo, user_ptr<user_sysinfo> to) {
    const memory_figures memory = memory_now();
    user_sysinfo info{};
    info.uptime = static_cast<i64>((now() + ns_per_s - 1) / ns_per_s);
    info.total_ram = memory.total_pages * page_size;
    info.free_ram = memory.free_pages * page_size;
    info.processes = static_cast<u16>(the_process().task_count);
    info.unit = 1;
    TRY(to.write(info));
    return 0;
}

// GRND_NONBLOCK 1, GRND_RANDOM 2, GRND_INSECURE 4: there is one generator, and it never blocks.
SYSCALL(getrandom, u64 to, u64 size, u32 flags) {
    if ((flags & ~7u) != 0 || (flags & 6) == 6) {
        return err::inval;
    }
    const u64 wanted = size > 0x7fff'f000 ? 0x7fff'f000 : size;
    std::byte chunk[256];
    u64 done = 0;
    while (done < wanted) {
        const usize step = wanted - done < sizeof(chunk) ? wanted - done : sizeof(chunk);
        random_bytes(std::span(chunk, step));
        const usize copied = copy_to_user_partial(to + done, chunk, step);
        done += copied;
        if (copied < step) {
            break;
        }
        if (done % page_size == 0) {
            if (interrupted()) {
                break;
            }
            yield();
        }
    }
    __builtin_memset(chunk, 0, sizeof(chunk));
    return done == 0 && wanted != 0 ? result<i64>(err::fault) : result<i64>(static_cast<i64>(done));
}

// Only ends the machine: RB_POWER_OFF, RB_AUTOBOOT and RB_HALT_SYSTEM end the program, and what
// happens then is as configured for its end. Ctrl-Alt-Del settings are accepted.
SYSCALL(reboot, u32 magic1, u32 magic2, u32 command, u64) {
    const bool magic = magic1 == 0xfee1dead && (magic2 == 672274793 || magic2 == 85072278 ||
                                                magic2 == 369367448 || magic2 == 537993216);
    if (!magic) {
        return err::inval;
    }
    switch (command) {
    case 0x4321fedc:
    case 0x01234567:
    case 0xcdef0123:
        end_process(0, 0);
        exit_task(0);
    case 0x89abcdef:
    case 0:
        return 0;
    default:
        return err::inval;
    }
}

// syslog(2): the kernel's lines are on the console; a program finds the buffer empty.
SYSCALL(syslog, i32 type, u64 buffer, i32 size) {
    switch (type) {
    case 0: case 1: case 5: case 6: case 7: case 9:
        return 0;
    case 2: case 3: case 4:
        return buffer == 0 || size < 0 ? result<i64>(err::inval) : result<i64>(0);
    case 8:
        return size < 1 || size > 8 ? result<i64>(err::inval) : result<i64>(0);
    case 10:
        return 1 << 14;
    default:
        return err::inval;
    }
}

SYSCALL(personality, u32 wanted) {
    lock_guard guard(the_process().identity_lock);
    const u32 before = the_process().personality;
    if (wanted != 0xffff'ffff) {
        the_process().personality = wanted;
    }
    return before;
}

namespace {

namespace membarrier_command {
inline constexpr i32 query = 0, global = 1, global_expedited = 2, register_global = 4,
                     private_expedited = 8, register_private = 16, private_sync_core = 32,
                     register_sync_core = 64, private_rseq = 128, register_rseq = 256;
}

}  // namespace

// Every CPU is made to take an interrupt, as if a translation of the zero page had changed: that orders
// memory, serialises instructions and aborts nothing more than an rseq section would bear. What is not
// running was ordered by its switch.
SYSCALL(membarrier, i32 command, u32 flags, i32) {
    using namespace membarrier_command;
    const i32 known = global | global_expedited | register_global | private_expedited |
                      register_private | private_sync_core | register_sync_core | private_rseq |
                      register_rseq;
    if (flags != 0 && !(command == private_rseq && flags == 1)) {
        return err::inval;
    }
    if (command == query) {
        return known;
    }
    if ((command & ~known) != 0 || (command & (command - 1)) != 0) {
        return err::inval;
    }
    switch (command) {
    case register_global: case register_private: case register_sync_core: case register_rseq: {
        lock_guard guard(the_process().identity_lock);
        the_process().membarriers |= static_cast<u32>(command);
        return 0;
    }
    case private_expedited: case private_sync_core: case private_rseq:
        if ((the_process().membarriers & (static_cast<u32>(command) << 1)) == 0) {
            return err::perm;
        }
        break;
    default:
        break;
    }
    flush_tlb(0, page_size);
    return 0;
}

// Another process to look at does not exist, and there is no debugger.
SYSCALL(ptrace, i64, i64, u64, u64) {
    return err::perm;
}

SYSCALL(process_vm_readv, i32, u64, u64, u64, u64, u64) {
    return err::srch;
}

SYSCALL(process_vm_writev, i32, u64, u64, u64, u64, u64) {
    return err::srch;
}

SYSCALL(kcmp, i32, i32, i32, u64, u64) {
    return err::nosys;
}

SYSCALL(acct, u64) {
    return err::perm;
}

SYSCALL(vhangup) {
    return err::perm;
}

SYSCALL(iopl, u32 level) {
    return level > 3 ? err::inval : err::perm;
}

SYSCALL(ioperm, u64, u64, i32) {
    return err::perm;
}

SYSCALL(modify_ldt, i32, u64, u64) {
    return err::nosys;
}

SYSCALL(setns, i32, i32) {
    return err::perm;
}

SYSCALL(unshare, u64 flags) {
    // Files and the working directory are shared by all threads here: CLONE_FILES, CLONE_FS and
    // CLONE_SYSVSEM alone mean little to a single thread and are accepted then.
    const u64 harmless = 0x200 | 0x400 | 0x40000;
    if ((flags & ~harmless) != 0) {
        return err::perm;
    }
    return the_process().task_count == 1 ? result<i64>(0) : result<i64>(err::inval);
}

}  // namespace kiln

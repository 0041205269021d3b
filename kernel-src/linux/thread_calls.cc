// kernel only: the system calls that make and end threads. Context: application threads.
//
// clone makes threads of this process and nothing else: whatever would be a second process, or a thread
// that does not share everything, is ENOSYS and said once.
#include "arch/x86_64/segments.hh"
#include "arch/x86_64/trap_frame.hh"
#include "core/log.hh"
#include "core/sched.hh"
#include "linux/descriptors.hh"
#include "linux/futex.hh"
#include "linux/process.hh"
#include "linux/signal_state.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

// CLONE_* (include/uapi/linux/sched.h).
namespace clone_flag {
inline constexpr u64 signal_mask = 0xff, vm = 0x100, fs = 0x200, files = 0x400, sighand = 0x800,
                     pidfd = 0x1000, vfork = 0x4000, parent = 0x8000,
                     thread = 0x10000, new_namespace = 0x20000, settls = 0x80000,
                     parent_settid = 0x100000, child_cleartid = 0x200000, detached = 0x400000,
                     child_settid = 0x1000000, clear_sighand = u64{1} << 32;
// Namespaces: cgroup, uts, ipc, user, pid, net, time.
inline constexpr u64 namespaces = new_namespace | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 |
                                  0x20000000 | 0x40000000 | 0x80;
inline constexpr u64 shared_by_threads = vm | fs | files | sighand | thread;
}

// struct clone_args (clone3).
struct clone_arguments {
    u64 flags;
    u64 pidfd;
    u64 child_tid;
    u64 parent_tid;
    u64 exit_signal;
    u64 stack;
    u64 stack_size;
    u64 tls;
    u64 set_tid;
    u64 set_tid_size;
    u64 cgroup;
};
inline constexpr usize smallest_arguments = 64;

err refuse_process(const char* call) {
    static constinit std::atomic<bool> said{false};
    if (!said.exchange(true, std::memory_order_relaxed)) {
        log_warning("{}: there is one process and one program here, it cannot start another", call);
    }
    return err::nosys;
}

// Linux's own consistency rules first: they are EINVAL there, too.
result<void> check_flags(const clone_arguments& wanted) {
    const u64 flags = wanted.flags;
    const bool thread_without_sighand =
        (flags & clone_flag::thread) != 0 && (flags & clone_flag::sighand) == 0;
    const bool sighand_without_vm = (flags & clone_flag::sighand) != 0 && (flags & clone_flag::vm) == 0;
    const bool both_sighand =
        (flags & clone_flag::sighand) != 0 && (flags & clone_flag::clear_sighand) != 0;
    const bool fs_in_namespace =
        (flags & clone_flag::fs) != 0 && (flags & clone_flag::new_namespace) != 0;
    if (thread_without_sighand || sighand_without_vm || both_sighand || fs_in_namespace) {
        return err::inval;
    }
    if ((flags & clone_flag::shared_by_threads) != clone_flag::shared_by_threads ||
        (flags & (clone_flag::namespaces | clone_flag::vfork | clone_flag::pidfd)) != 0) {
        return refuse_process("clone");
    }
    return {};
}

void inherit(task& child, const task& parent, const clone_arguments& wanted) {
    child.blocked = parent.blocked;
    child.sched = scheduling_of_child(parent.sched);
    child.timer_slack = parent.timer_slack;
    __builtin_memcpy(child.comm, parent.comm, comm_size);
    if ((wanted.flags & clone_flag::child_cleartid) != 0) {
        child.clear_child_tid = wanted.child_tid;
    }
}

trap_frame child_frame(const clone_arguments& wanted) {
    trap_frame frame = user_frame();
    frame.rax = 0;
    if (wanted.stack != 0) {
        frame.rsp = wanted.stack + wanted.stack_size;
    }
    return frame;
}

result<void> write_tids(const clone_arguments& wanted, i32 tid) {
    if ((wanted.flags & clone_flag::parent_settid) != 0) {
        TRY(user_ptr<i32>(wanted.parent_tid).write(tid));
    }
    if ((wanted.flags & clone_flag::child_settid) != 0) {
        // The child shares our memory; Linux ignores a bad address here.
        static_cast<void>(user_ptr<i32>(wanted.child_tid).write(tid));
    }
    return {};
}

result<void> start(task& child, const clone_arguments& wanted) {
    const bool own_tls = (wanted.flags & clone_flag::settls) != 0;
    const u64 fs_base = own_tls ? wanted.tls : get_fs_base();
    ref<thread> made = TRY(make_user_thread(child_frame(wanted), fs_base, &child));
    TRY(write_tids(wanted, child.tid));
    thread& running = *made;
    running.allowed.store(current_thread().allowed.load());
    {
        irq_guard guard(the_process().signal_lock);
        child.owner = std::move(made);
        set_claim(running, claim_of(child.sched));
        update_interrupted(child);
    }
    start_thread(running);
    return {};
}

result<i64> clone_thread(const clone_arguments& wanted) {
    TRY(check_flags(wanted));
    if ((wanted.flags & clone_flag::settls) != 0 && wanted.tls >= user_end) {
        return err::perm;
    }
    task& child = *TRY(add_task());
    inherit(child, *current_task(), wanted);
    const i32 tid = child.tid;
    const result<void> started = start(child, wanted);
    if (!started.ok()) {
        discard_task(child);
        return started.error() == err::nomem ? err::again : started.error();
    }
    return tid;
}

}  // namespace

SYSCALL(clone, u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls) {
    return clone_thread({.flags = flags & ~clone_flag::signal_mask & 0xffff'ffff,
                         .pidfd = parent_tid,
                         .child_tid = child_tid,
                         .parent_tid = parent_tid,
                         .exit_signal = flags & clone_flag::signal_mask,
                         .stack = stack,
                         .stack_size = 0,
                         .tls = tls});
}

SYSCALL(clone3, u64 arguments_address, u64 size) {
    if (size > page_size) {
        return err::too_big;
    }
    if (size < smallest_arguments) {
        return err::inval;
    }
    clone_arguments wanted{};
    const usize known = size < sizeof(wanted) ? size : sizeof(wanted);
    TRY(copy_from_user(&wanted, arguments_address, known));
    for (u64 at = known; at < size; ++at) {
        if (TRY(user_ptr<u8>(arguments_address + at).read()) != 0) {
            return err::too_big;
        }
    }
    const bool threads_signal =
        (wanted.flags & (clone_flag::thread | clone_flag::parent)) != 0 && wanted.exit_signal != 0;
    const bool half_a_stack = (wanted.stack == 0) != (wanted.stack_size == 0);
    if ((wanted.flags & (clone_flag::detached | clone_flag::signal_mask)) != 0 || threads_signal ||
        wanted.exit_signal > signal_limit || half_a_stack || wanted.set_tid_size > 32 ||
        (wanted.set_tid == 0) != (wanted.set_tid_size == 0) || wanted.stack > user_end ||
        wanted.stack_size > user_end - wanted.stack) {
        return err::inval;
    }
    if (wanted.set_tid_size != 0) {
        return refuse_process("clone3 with set_tid");
    }
    return clone_thread(wanted);
}

SYSCALL(fork) {
    return refuse_process("fork");
}

SYSCALL(vfork) {
    return refuse_process("vfork");
}

SYSCALL(execve, u64, u64, u64) {
    return refuse_process("execve");
}

SYSCALL(execveat, i32, u64, u64, u64, i32) {
    return refuse_process("execveat");
}

SYSCALL(exit, i32 status) {
    exit_task(status & 0xff);
}

SYSCALL(exit_group, i32 status) {
    end_process(status & 0xff, 0);
    exit_task(status & 0xff);
}

SYSCALL(set_tid_address, u64 address) {
    task& self = *current_task();
    self.clear_child_tid = address;
    return self.tid;
}

SYSCALL(gettid) {
    return current_task()->tid;
}

SYSCALL(getpid) {
    return process_id;
}

SYSCALL(getppid) {
    return parent_id;
}

// There are never children.
SYSCALL(wait4, i32, u64, i32 options) {
    // WNOHANG, WUNTRACED, WCONTINUED, __WNOTHREAD, __WCLONE, __WALL.
    const u32 known = 1 | 2 | 8 | 0x20000000 | 0x40000000 | 0x80000000;
    return (static_cast<u32>(options) & ~known) != 0 ? err::inval : err::child;
}

SYSCALL(waitid, i32 id_type, i32 id, u64, i32 options) {
    // As above with WEXITED, WSTOPPED and WNOWAIT; one of the first three is needed.
    const u32 known = 1 | 2 | 4 | 8 | 0x01000000 | 0x20000000 | 0x40000000 | 0x80000000;
    const u32 wanted = static_cast<u32>(options);
    if ((wanted & ~known) != 0 || (wanted & (2 | 4 | 8)) == 0) {
        return err::inval;
    }
    if (id_type < 0 || id_type > 3 || (id_type == 1 && id <= 0) || (id_type == 2 && id < 0)) {
        return err::inval;
    }
    if (id_type == 3 && !TRY(get_file(id))->is_pidfd()) {
        return err::badf;
    }
    return err::child;
}

}  // namespace kiln

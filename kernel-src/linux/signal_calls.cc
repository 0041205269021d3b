// kernel only: the system calls on signals. Context: application threads.
#include "arch/x86_64/trap_frame.hh"
#include "core/clock.hh"
#include "fs/pseudo_fs.hh"
#include "linux/descriptors.hh"
#include "linux/signal_state.hh"
#include "linux/syscall.hh"
#include "linux/time_values.hh"

namespace kiln {
namespace {

inline constexpr usize minimal_altstack = 2048;  // MINSIGSTKSZ

// signal actions that make a pending signal vanish (POSIX: setting SIG_IGN discards it).
void discard_ignored(int signo, pending_signals::entry_list& freed) {
    process& self = the_process();
    if (!is_ignored(signo, self.actions[signo - 1])) {
        return;
    }
    self.pending.discard(signal_bit(signo), freed);
    for (task* each = self.tasks.first(); each != nullptr; each = self.tasks.next(*each)) {
        each->pending.discard(signal_bit(signo), freed);
    }
}

result<signal_info> read_signal_info(u64 address, int signo) {
    signal_info info = TRY(user_ptr<signal_info>(address).read());
    info.signo = signo;
    return info;
}

// With signal 0 only the existence is asked for. tid 0: the process.
result<i64> signal_or_probe(i32 tid, const signal_info& info) {
    if (info.signo != 0) {
        TRY(post_signal(tid, info));
        return 0;
    }
    irq_guard guard(the_process().signal_lock);
    if (tid != 0 && find_task(tid) == nullptr) {
        return err::srch;
    }
    return 0;
}

signal_info info_of_kill(int signo, int code) {
    return {.signo = signo,
            .code = code,
            .sender = {.pid = process_id, .uid = the_process().creds.ruid, .value = 0}};
}

// A pidfd, or the process's folder in /proc opened as a directory.
bool stands_for_process(file& open) {
    char text[32], own[32];
    const inode* const node = open.get_inode();
    if (node == nullptr || &node->filesystem != &the_proc()) {
        return open.is_pidfd();
    }
    const result<usize> length = open.describe(text);
    const usize own_length = format_to(own, "/proc/{}", process_id);
    return length.ok() && std::string_view(text, length.value()) == std::string_view(own, own_length);
}

// What only the kernel, kill and tkill may claim towards others.
bool looks_like_kernel(const signal_info& info) {
    return info.code >= 0 || info.code == si_code::tkill;
}

bool means_this_process(i32 pid) {
    return pid == process_id || pid == 0 || pid == -the_process().group_id;
}

}  // namespace

result<void> change_altstack(task& self, const alternate_stack& wanted, u64 sp) {
    if (on_altstack(self.altstack, sp)) {
        return err::perm;
    }
    const u32 mode = static_cast<u32>(wanted.flags) & ~ss_flag::autodisarm;
    if (mode != 0 && mode != ss_flag::onstack && mode != ss_flag::disable) {
        return err::inval;
    }
    if (mode == ss_flag::disable) {
        self.altstack = {.flags = wanted.flags};
        return {};
    }
    if (wanted.size < minimal_altstack) {
        return err::nomem;
    }
    self.altstack = wanted;
    self.altstack.padding = 0;
    return {};
}

SYSCALL(sigaltstack, user_ptr<alternate_stack> wanted, user_ptr<alternate_stack> old) {
    task& self = *current_task();
    const u64 sp = user_frame().rsp;
    alternate_stack current = self.altstack;
    const u32 kept = static_cast<u32>(current.flags) & ss_flag::autodisarm;
    const u32 state = current.size == 0 ? ss_flag::disable : on_altstack(current, sp) ? ss_flag::onstack : 0;
    current.flags = static_cast<i32>(kept | state);
    if (wanted) {
        const alternate_stack fresh = TRY(wanted.read());
        TRY(change_altstack(self, fresh, sp));
    }
    if (old) {
        TRY(old.write(current));
    }
    return 0;
}

SYSCALL(rt_sigaction, int signo, user_ptr<signal_action> wanted, user_ptr<signal_action> old,
        u64 set_size) {
    if (set_size != sizeof(signal_set)) {
        return err::inval;
    }
    signal_action fresh;
    if (wanted) {
        fresh = TRY(wanted.read());
    }
    if (!valid_signal(signo) || (wanted && (unblockable_signals & signal_bit(signo)) != 0)) {
        return err::inval;
    }
    fresh.flags &= sa_flag::known;
    fresh.mask &= ~unblockable_signals;
    signal_action before;
    pending_signals::entry_list freed;
    {
        irq_guard guard(the_process().signal_lock);
        before = the_process().actions[signo - 1];
        if (wanted) {
            the_process().actions[signo - 1] = fresh;
            discard_ignored(signo, freed);
        }
    }
    free_signals(freed);
    if (old) {
        TRY(old.write(before));
    }
    return 0;
}

SYSCALL(rt_sigprocmask, int how, user_ptr<signal_set> wanted, user_ptr<signal_set> old,
        u64 set_size) {
    if (set_size != sizeof(signal_set)) {
        return err::inval;
    }
    const signal_set before = current_task()->blocked;
    if (wanted) {
        const signal_set given = TRY(wanted.read());
        switch (how) {
        case 0: change_mask(before | given); break;   // SIG_BLOCK
        case 1: change_mask(before & ~given); break;  // SIG_UNBLOCK
        case 2: change_mask(given); break;            // SIG_SETMASK
        default: return err::inval;
        }
    }
    if (old) {
        TRY(old.write(before));
    }
    return 0;
}

SYSCALL(rt_sigpending, u64 to, u64 set_size) {
    if (set_size > sizeof(signal_set)) {
        return err::inval;
    }
    const task& self = *current_task();
    signal_set pending = 0;
    {
        irq_guard guard(the_process().signal_lock);
        pending = (self.pending.set() | the_process().pending.set()) & self.blocked;
    }
    TRY(copy_to_user(to, &pending, set_size));
    return 0;
}

SYSCALL(rt_sigsuspend, user_ptr<signal_set> mask, u64 set_size) {
    if (set_size != sizeof(signal_set)) {
        return err::inval;
    }
    temporary_signal_mask temporary;
    temporary.set(TRY(mask.read()));
    while (!interrupted()) {
        park_interruptible();
    }
    return temporary.finish(err::restart_nohand);
}

SYSCALL(pause) {
    while (!interrupted()) {
        park_interruptible();
    }
    return err::restart_nohand;
}

namespace {

// Waits until one of `wanted` pends for the thread; they count as unblocked meanwhile.
result<signal_info> await_signal(task& self, signal_set wanted, u64 deadline) {
    signal_info info;
    auto expect = [&self](signal_set expected) {
        irq_guard guard(the_process().signal_lock);
        self.waited_for = expected;
        update_interrupted(self);
    };
    expect(wanted);
    for (;;) {
        const bool found = take_signal(self, wanted, info);
        const bool late = deadline != never && now() >= deadline;
        const bool disturbed = interrupted();
        if (found || late || disturbed) {
            // What disturbed may be a wanted signal that came just now.
            const bool taken = found || take_signal(self, wanted, info);
            expect(0);
            if (taken) {
                return info;
            }
            return disturbed ? err::intr : err::again;
        }
        park_interruptible(deadline);
    }
}

}  // namespace

SYSCALL(rt_sigtimedwait, user_ptr<signal_set> set, u64 info_address, u64 timeout_address,
        u64 set_size) {
    if (set_size != sizeof(signal_set)) {
        return err::inval;
    }
    const signal_set wanted = TRY(set.read()) & ~unblockable_signals;
    u64 deadline = never;
    if (timeout_address != 0) {
        deadline = deadline_after(TRY(read_duration(timeout_address)));
    }
    const signal_info info = TRY(await_signal(*current_task(), wanted, deadline));
    if (info_address != 0) {
        TRY(clear_user(info_address, user_siginfo_size));
        TRY(copy_to_user(info_address, &info, sizeof(info)));
    }
    return info.signo;
}

SYSCALL(kill, i32 pid, int signo) {
    if (signo != 0 && !valid_signal(signo)) {
        return err::inval;
    }
    if (pid == -1) {
        return err::srch;  // all processes but the caller and init
    }
    if (!means_this_process(pid)) {
        irq_guard guard(the_process().signal_lock);
        // A thread's number names its process, too.
        if (find_task(pid) == nullptr) {
            return err::srch;
        }
    }
    return signal_or_probe(0, info_of_kill(signo, si_code::user));
}

SYSCALL(tkill, i32 tid, int signo) {
    if (tid <= 0 || (signo != 0 && !valid_signal(signo))) {
        return err::inval;
    }
    return signal_or_probe(tid, info_of_kill(signo, si_code::tkill));
}

SYSCALL(tgkill, i32 tgid, i32 tid, int signo) {
    if (tgid <= 0 || tid <= 0 || (signo != 0 && !valid_signal(signo))) {
        return err::inval;
    }
    if (tgid != process_id) {
        return err::srch;
    }
    return signal_or_probe(tid, info_of_kill(signo, si_code::tkill));
}

SYSCALL(pidfd_send_signal, i32 process, int signo, u64 info_address, u32 flags) {
    if (flags != 0) {
        return err::inval;
    }
    if (!stands_for_process(*TRY(get_file(process)))) {
        return err::badf;
    }
    signal_info info = info_of_kill(signo, si_code::user);
    if (info_address != 0) {
        info = TRY(read_signal_info(info_address, signo));
        if (TRY(user_ptr<i32>(info_address).read()) != signo) {
            return err::inval;
        }
    }
    if (signo != 0 && !valid_signal(signo)) {
        return err::inval;
    }
    return signal_or_probe(0, info);
}

SYSCALL(rt_sigqueueinfo, i32 pid, int signo, u64 info_address) {
    const signal_info info = TRY(read_signal_info(info_address, signo));
    if (signo != 0 && !valid_signal(signo)) {
        return err::inval;
    }
    if (pid != process_id) {
        return looks_like_kernel(info) ? err::perm : err::srch;
    }
    return signal_or_probe(0, info);
}

SYSCALL(rt_tgsigqueueinfo, i32 tgid, i32 tid, int signo, u64 info_address) {
    if (tgid <= 0 || tid <= 0) {
        return err::inval;
    }
    const signal_info info = TRY(read_signal_info(info_address, signo));
    if (signo != 0 && !valid_signal(signo)) {
        return err::inval;
    }
    if (tgid != process_id) {
        return looks_like_kernel(info) ? err::perm : err::srch;
    }
    return signal_or_probe(tid, info);
}

SYSCALL(restart_syscall) {
    const restart_block saved = current_task()->restart;
    if (saved.resume == nullptr) {
        return err::intr;
    }
    return saved.resume(saved);
}

}  // namespace kiln

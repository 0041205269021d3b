// Pending signals and the choice of the next one: the logic of signals without threads, so that the
// host tests reach it. Not locked: the process's signal_lock guards.
#pragma once

#include "lib/list.hh"
#include "linux/signal_info.hh"

namespace kiln {

// One pending signal with its siginfo. Made by new when sent by a call; part of the timer when a POSIX
// timer sends it, which then has `taken` run (under the lock) as it leaves the queue.
struct queued_signal {
    using taken_function = void (*)(queued_signal& entry);

    list_node link;
    signal_info info;
    taken_function taken = nullptr;
};

class pending_signals : noncopyable {
public:
    using entry_list = list<queued_signal, &queued_signal::link>;

    signal_set set() const { return _set; }
    bool has(int signo) const { return (_set & signal_bit(signo)) != 0; }

    // Whether a further signal `signo` would be lost: standard signals pend once.
    bool absorbs(int signo) const { return signo < signo::first_realtime && has(signo); }
    void add(queued_signal& entry);
    // Without an entry: for senders that cannot allocate. Reads as sent by the kernel.
    void mark(int signo) { _set |= signal_bit(signo); }

    // The next of `allowed`: synchronous ones first, then by number; 0 when there is none.
    int next(signal_set allowed) const;
    // Takes one `signo`, which is pending. The entry, when it is one made by new, goes to `freed`.
    signal_info take(int signo, entry_list& freed);
    // Forgets all of `signals`.
    void discard(signal_set signals, entry_list& freed);
    // Takes a timer's entry back.
    void withdraw(queued_signal& entry);

private:
    queued_signal* find(int signo, queued_signal* after);
    void release(queued_signal& entry, entry_list& freed);

    signal_set _set = 0;
    entry_list _entries;
};

// What a signal does when it has no handler (signal(7)).
enum class default_action : u8 { terminate, core, ignore, stop, resume };
default_action default_action_of(int signo);

// struct kernel_sigaction (rt_sigaction).
struct signal_action {
    u64 handler = 0;
    u64 flags = 0;
    u64 restorer = 0;
    signal_set mask = 0;
};
static_assert(sizeof(signal_action) == 32);
inline constexpr u64 sig_dfl = 0;
inline constexpr u64 sig_ign = 1;

namespace sa_flag {
inline constexpr u64 nocldstop = 1, nocldwait = 2, siginfo = 4, expose_tagbits = 0x800,
                     restorer = 0x0400'0000, onstack = 0x0800'0000, restart = 0x1000'0000,
                     nodefer = 0x4000'0000, resethand = 0x8000'0000,
                     known = nocldstop | nocldwait | siginfo | expose_tagbits | restorer | onstack |
                             restart | nodefer | resethand;
}

// Whether a signal with this action has no effect, so that it need not even pend.
bool is_ignored(int signo, const signal_action& action);
// The mask while the handler runs.
signal_set mask_in_handler(signal_set blocked, int signo, const signal_action& action);

// What becomes of an interrupted call, by its result in rax (negated err).
enum class restart_decision : u8 { none, again, resume_block, fail };
restart_decision decide_restart(i64 outcome, bool handler_runs, u64 action_flags);

}  // namespace kiln

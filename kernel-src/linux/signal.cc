// kernel only: needs the scheduler.
//
// Sending signals: queues, who is woken, masks. All of it under signal_lock; entries are made before
// and freed after, because interrupt handlers and spin-lock holders must not use the heap.
#include "linux/signal.hh"

#include "core/user.hh"
#include "linux/signal_state.hh"

namespace kiln {
namespace {

bool wants(const task& each, int signo) {
    const signal_set refused = each.blocked & ~each.waited_for;
    return (refused & signal_bit(signo)) == 0;
}

void wake_for_signal(task& chosen) {
    if (chosen.owner) {
        set_interrupted(*chosen.owner, true);
    }
}

// The thread that is to take a signal to the process: the first that does not block it.
void wake_somebody(process& self, int signo) {
    for (task* each = self.tasks.first(); each != nullptr; each = self.tasks.next(*each)) {
        if (wants(*each, signo)) {
            wake_for_signal(*each);
            return;
        }
    }
}

// A signal pends although it is ignored when it is blocked: the action may change, or it is waited for.
bool has_no_effect(process& self, task* target, int signo) {
    const task* judge = target != nullptr ? target : self.tasks.first();
    const bool blocked = judge != nullptr && (judge->blocked & signal_bit(signo)) != 0;
    return !blocked && is_ignored(signo, self.actions[signo - 1]);
}

inline constexpr signal_set stop_signals = signal_bit(signo::stop) | signal_bit(signo::tstp) |
                                           signal_bit(signo::ttin) | signal_bit(signo::ttou);

// SIGCONT and the stop signals cancel each other. Timers' entries go nowhere near them, and the rest
// is kept for the caller to free.
void cancel_opposites(process& self, int signo, pending_signals::entry_list& freed) {
    signal_set opposite = 0;
    if (signo == signo::cont) {
        opposite = stop_signals;
    } else if ((stop_signals & signal_bit(signo)) != 0) {
        opposite = signal_bit(signo::cont);
    }
    if (opposite == 0) {
        return;
    }
    self.pending.discard(opposite, freed);
    for (task* each = self.tasks.first(); each != nullptr; each = self.tasks.next(*each)) {
        each->pending.discard(opposite, freed);
    }
}

}  // namespace

bool queue_signal(task* target, queued_signal* entry, int signo) {
    process& self = the_process();
    if (has_no_effect(self, target, signo)) {
        return false;
    }
    pending_signals& queue = target != nullptr ? target->pending : self.pending;
    const bool lost = queue.absorbs(signo);
    if (!lost) {
        if (entry != nullptr) {
            queue.add(*entry);
        } else {
            queue.mark(signo);
        }
    }
    if (target == nullptr) {
        wake_somebody(self, signo);
    } else if (wants(*target, signo)) {
        wake_for_signal(*target);
    }
    return !lost;
}

void update_interrupted(task& which) {
    process& self = the_process();
    const signal_set refused = which.blocked & ~which.waited_for;
    const signal_set pending = which.pending.set() | self.pending.set();
    if (which.owner) {
        set_interrupted(*which.owner, self.exit.exiting || (pending & ~refused) != 0);
    }
}

void redirect_process_signals(task& leaving) {
    process& self = the_process();
    const signal_set pending = self.pending.set();
    if (pending == 0) {
        return;
    }
    for (task* each = self.tasks.first(); each != nullptr; each = self.tasks.next(*each)) {
        if (each != &leaving && (pending & ~(each->blocked & ~each->waited_for)) != 0) {
            wake_for_signal(*each);
        }
    }
}

void set_blocked(task& which, signal_set blocked) {
    const signal_set added = blocked & ~which.blocked;
    which.blocked = blocked & ~unblockable_signals;
    if ((the_process().pending.set() & added) != 0) {
        redirect_process_signals(which);
    }
    update_interrupted(which);
}

void change_mask(signal_set blocked) {
    irq_guard guard(the_process().signal_lock);
    set_blocked(*current_task(), blocked);
}

result<queued_signal*> make_queued_signal(const signal_info& info) {
    std::atomic<u32>& count = the_process().queued_signals;
    if (count.fetch_add(1, std::memory_order_relaxed) >= current_limit(limit::pending_signals)) {
        count.fetch_sub(1, std::memory_order_relaxed);
        return err::again;
    }
    auto* made = new (std::nothrow) queued_signal;
    if (made == nullptr) {
        count.fetch_sub(1, std::memory_order_relaxed);
        return err::again;
    }
    made->info = info;
    return made;
}

void free_signals(pending_signals::entry_list& freed) {
    while (queued_signal* entry = freed.pop_front()) {
        the_process().queued_signals.fetch_sub(1, std::memory_order_relaxed);
        delete entry;
    }
}

bool take_signal(task& which, signal_set wanted, signal_info& info) {
    process& self = the_process();
    pending_signals::entry_list freed;
    bool found = false;
    {
        irq_guard guard(self.signal_lock);
        for (pending_signals* queue : {&which.pending, &self.pending}) {
            if (const int signo = queue->next(wanted); signo != 0) {
                info = queue->take(signo, freed);
                found = true;
                break;
            }
        }
    }
    free_signals(freed);
    return found;
}

void send_process_signal(int signo) {
    if (signo == signo::kill) {
        kill_process(signo);
        return;
    }
    {
        irq_guard guard(the_process().signal_lock);
        queue_signal(nullptr, nullptr, signo);
    }
    the_process().signal_arrived.wake_all();
}

result<void> post_signal(i32 tid, const signal_info& info) {
    if (info.signo == signo::kill) {
        kill_process(info.signo);
        return {};
    }
    // Without memory or room a plain signal is reduced to its number; a queued one fails.
    result<queued_signal*> made = make_queued_signal(info);
    const bool needs_entry = info.signo >= signo::first_realtime && info.code != si_code::user;
    if (!made.ok() && needs_entry) {
        return err::again;
    }
    queued_signal* entry = made.ok() ? made.value() : nullptr;
    pending_signals::entry_list freed;
    bool found = true;
    {
        irq_guard guard(the_process().signal_lock);
        task* target = tid == 0 ? nullptr : find_task(tid);
        found = tid == 0 || target != nullptr;
        cancel_opposites(the_process(), info.signo, freed);
        if (!found || !queue_signal(target, entry, info.signo)) {
            if (entry != nullptr) {
                freed.push_back(*entry);
            }
        }
    }
    free_signals(freed);
    the_process().signal_arrived.wake_all();
    return found ? result<void>() : err::srch;
}

void send_process_signal(const signal_info& info) {
    static_cast<void>(post_signal(0, info));
}

void send_thread_signal(task& target, const signal_info& info) {
    static_cast<void>(post_signal(target.tid, info));
}

void raise_sigpipe() {
    send_thread_signal(*current_task(), {.signo = signo::pipe,
                                         .code = si_code::user,
                                         .sender = {.pid = process_id, .uid = 0, .value = 0}});
}

void raise_sigxfsz() {
    send_thread_signal(*current_task(), {.signo = signo::xfsz,
                                         .code = si_code::user,
                                         .sender = {.pid = process_id, .uid = 0, .value = 0}});
}

void kill_process(int signo) {
    end_process(0, signo);
}

wait_queue& signal_arrivals() {
    return the_process().signal_arrived;
}

temporary_signal_mask::~temporary_signal_mask() {
    if (_set) {
        change_mask(_saved);
    }
}

result<void> temporary_signal_mask::set_from_user(u64 address, u64 size) {
    if (address == 0) {
        return {};
    }
    if (size != sizeof(signal_set)) {
        return err::inval;
    }
    set(TRY(user_ptr<signal_set>(address).read()));
    return {};
}

void temporary_signal_mask::set(signal_set mask) {
    _saved = current_task()->blocked;
    _set = true;
    change_mask(mask);
}

result<i64> temporary_signal_mask::finish(result<i64> outcome) {
    if (!_set) {
        return outcome;
    }
    const err error = outcome.ok() ? err{0} : outcome.error();
    _set = false;
    if (error != err::intr && static_cast<int>(error) < static_cast<int>(err::restart_sys)) {
        change_mask(_saved);
        return outcome;
    }
    task& self = *current_task();
    irq_guard guard(the_process().signal_lock);
    self.saved_mask = _saved;
    self.mask_is_temporary = true;
    request_return_work(*self.owner);
    return outcome;
}

}  // namespace kiln

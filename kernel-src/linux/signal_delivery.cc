// kernel only: works on the program's registers.
//
// Taking signals on the way back to the program: default actions, handlers, and how an interrupted
// call goes on. Runs on the thread's kernel stack with interrupts on and no locks held.
#include "core/log.hh"
#include "core/sched.hh"
#include "linux/entry.hh"
#include "linux/rseq.hh"
#include "linux/signal_state.hh"

namespace kiln {
namespace {

inline constexpr u64 restart_syscall_number = 219;
inline constexpr u64 syscall_instruction_size = 2;

void go_back_to_syscall(trap_frame& frame, u64 number) {
    frame.rax = number;
    frame.rip -= syscall_instruction_size;
}

void settle_interrupted_call(trap_frame& frame, bool handler_runs, u64 action_flags) {
    if (frame.vector != syscall_vector) {
        return;
    }
    switch (decide_restart(static_cast<i64>(frame.rax), handler_runs, action_flags)) {
    case restart_decision::none:
        return;
    case restart_decision::again:
        go_back_to_syscall(frame, frame.error);
        return;
    case restart_decision::resume_block:
        go_back_to_syscall(frame, restart_syscall_number);
        return;
    case restart_decision::fail:
        frame.rax = static_cast<u64>(-static_cast<i64>(err::intr));
        return;
    }
}

// The action for a signal just taken; a one-shot handler is reset as it is read.
signal_action action_for(int signo) {
    irq_guard guard(the_process().signal_lock);
    signal_action& stored = the_process().actions[signo - 1];
    const signal_action action = stored;
    const bool handled = action.handler != sig_dfl && action.handler != sig_ign;
    if (handled && (action.flags & sa_flag::resethand) != 0) {
        stored.handler = sig_dfl;
    }
    return action;
}

[[noreturn]] void die(const trap_frame& frame, task& self, const signal_info& info) {
    if (default_action_of(info.signo) == default_action::core) {
        report_fatal_signal(frame, self, info);
    }
    end_process(0, info.signo);
    exit_task(0);
}

void run_handler(trap_frame& frame, task& self, const signal_info& info,
                 const signal_action& action) {
    settle_interrupted_call(frame, true, action.flags);
    update_rseq(self, frame, true);
    const signal_set to_save = self.mask_is_temporary ? self.saved_mask : self.blocked;
    if (!enter_handler(frame, self, info, action, to_save).ok()) {
        force_segv(self, info.signo);
        return;
    }
    irq_guard guard(the_process().signal_lock);
    self.mask_is_temporary = false;
    set_blocked(self, mask_in_handler(self.blocked, info.signo, action));
}

void deliver(trap_frame& frame, task& self, const signal_info& info) {
    const signal_action action = action_for(info.signo);
    if (is_ignored(info.signo, action)) {
        return;
    }
    if (action.handler == sig_dfl) {
        die(frame, self, info);
    }
    run_handler(frame, self, info, action);
}

bool process_is_exiting() {
    return __atomic_load_n(&the_process().exit.exiting, __ATOMIC_RELAXED);
}

void restore_own_mask(task& self) {
    if (!self.mask_is_temporary) {
        return;
    }
    irq_guard guard(the_process().signal_lock);
    self.mask_is_temporary = false;
    set_blocked(self, self.saved_mask);
}

}  // namespace

void user_return_work(trap_frame& frame) {
    task& self = *current_task();
    signal_info info;
    for (;;) {
        if (process_is_exiting()) {
            exit_task(0);
        }
        if (!interrupted() || !take_signal(self, ~self.blocked, info)) {
            break;
        }
        deliver(frame, self, info);
    }
    settle_interrupted_call(frame, false, 0);
    restore_own_mask(self);
    update_rseq(self, frame, false);
    if (interrupted()) {
        irq_guard guard(the_process().signal_lock);
        update_interrupted(self);
    }
}

void force_fault_signal(trap_frame&, int signo, int code, u64 address, u64 trapno, u64 error) {
    task& self = *current_task();
    self.last_fault = {.trapno = trapno, .error = error, .address = address};
    const signal_info info{.signo = signo, .code = code, .fault = {.address = address, .rest = {}}};
    result<queued_signal*> entry = make_queued_signal(info);
    pending_signals::entry_list freed;
    {
        irq_guard guard(the_process().signal_lock);
        signal_action& action = the_process().actions[signo - 1];
        const bool blocked = (self.blocked & signal_bit(signo)) != 0;
        if (blocked || action.handler == sig_ign) {
            // It cannot wait and cannot be passed over: the program ends.
            action.handler = sig_dfl;
            self.blocked &= ~signal_bit(signo);
        }
        queued_signal* queued = entry.ok() ? entry.value() : nullptr;
        if (!queue_signal(&self, queued, signo) && queued != nullptr) {
            freed.push_back(*queued);
        }
    }
    free_signals(freed);
}

void force_segv(task& self, int failed_signo) {
    const signal_info info{.signo = signo::segv, .code = si_code::kernel};
    {
        irq_guard guard(the_process().signal_lock);
        signal_action& action = the_process().actions[signo::segv - 1];
        if (failed_signo == signo::segv || (self.blocked & signal_bit(signo::segv)) != 0 ||
            action.handler == sig_ign) {
            action.handler = sig_dfl;
        }
        self.blocked &= ~signal_bit(signo::segv);
    }
    send_thread_signal(self, info);
}

}  // namespace kiln

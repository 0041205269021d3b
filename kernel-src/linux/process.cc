// kernel only: needs the scheduler.
//
// The process object: thread table, end of threads and of the process, limits, names.
// Context: threads, but where a function says otherwise.
#include "linux/process.hh"

#include "core/clock.hh"
#include "core/log.hh"
#include "core/sched.hh"
#include "fs/fd_table.hh"
#include "linux/entry.hh"
#include "linux/futex.hh"
#include "linux/posix_timers.hh"
#include "linux/rseq.hh"
#include "linux/signal_state.hh"

namespace kiln {

constexpr process::process() {
    for (limit_values& values : limits) {
        values = {unlimited, unlimited};
    }
    auto set = [this](limit which, u64 current, u64 maximum) {
        limits[static_cast<u32>(which)] = {current, maximum};
    };
    // What a service finds under a distribution's init.
    set(limit::stack, 8 * MiB, unlimited);
    set(limit::core, 0, unlimited);
    set(limit::processes, 32768, 32768);
    set(limit::open_files, 1024, 1'048'576);
    set(limit::locked_memory, 8 * MiB, 8 * MiB);
    set(limit::pending_signals, 32768, 32768);
    set(limit::message_queues, 819'200, 819'200);
    set(limit::nice, 0, 0);
    set(limit::realtime_priority, 0, 0);
}

namespace {

constinit process the_instance;

// Frees what the scheduler no longer runs: its own reference to such a thread is gone.
void reap_dead_tasks() {
    process& self = the_process();
    for (;;) {
        task* found = nullptr;
        {
            irq_guard guard(self.signal_lock);
            for (task& dead : self.dead) {
                if (dead.owner->reference_count() == 1) {
                    found = &dead;
                    list<task, &task::dead_link>::remove(dead);
                    break;
                }
            }
        }
        if (found == nullptr) {
            return;
        }
        delete found;
    }
}

i32 next_free_tid(process& self) {
    i32 tid = self.last_tid;
    do {
        tid = tid + 1 >= tid_limit ? process_id + 1 : tid + 1;
    } while (find_task(tid) != nullptr);
    self.last_tid = tid;
    return tid;
}

void add_to_table(process& self, task& made) {
    made.started_at = now();
    self.tasks.insert(made);
    ++self.task_count;
}

void interrupt_all(process& self) {
    for (task* each = self.tasks.first(); each != nullptr; each = self.tasks.next(*each)) {
        if (each->owner) {
            set_interrupted(*each->owner, true);
        }
    }
}

// Takes the task out of the table; whether it was the last one.
bool leave_table(process& self, task& leaving, int status) {
    const cpu_times used = cpu_times_of(*leaving.owner);
    irq_guard guard(self.signal_lock);
    leaving.exiting.store(true, std::memory_order_relaxed);
    self.tasks.remove(leaving);
    self.dead.push_back(leaving);
    self.dead_cpu_total += used.total;
    self.dead_cpu_kernel += used.kernel;
    self.dead_switches.add(switch_counts_of(*leaving.owner));
    self.dead_transfers.add(leaving);
    if (leaving.tid == process_id) {
        self.exit.leader_status = status;
    }
    if (--self.task_count == 0) {
        return true;
    }
    redirect_process_signals(leaving);
    return false;
}

}  // namespace

process& the_process() {
    return the_instance;
}

task* find_task(i32 tid) {
    task* found = the_process().tasks.lower_bound([tid](const task& each) { return each.tid >= tid; });
    return found != nullptr && found->tid == tid ? found : nullptr;
}

task* make_first_task() {
    auto* made = new (std::nothrow) task(process_id);
    if (made == nullptr) {
        panic("no memory for the first thread");
    }
    irq_guard guard(the_process().signal_lock);
    add_to_table(the_process(), *made);
    return made;
}

result<task*> add_task() {
    reap_dead_tasks();
    process& self = the_process();
    // Before signal_lock: an interrupt that wants that one may find identity_lock held.
    const u64 most = current_limit(limit::processes);
    i32 tid = 0;
    {
        irq_guard guard(self.signal_lock);
        if (self.task_count >= most || self.exit.exiting) {
            return err::again;
        }
        tid = next_free_tid(self);
    }
    auto* made = new (std::nothrow) task(tid);
    if (made == nullptr) {
        return err::again;
    }
    irq_guard guard(self.signal_lock);
    add_to_table(self, *made);
    return made;
}

void discard_task(task& unused) {
    process& self = the_process();
    {
        irq_guard guard(self.signal_lock);
        self.tasks.remove(unused);
        --self.task_count;
    }
    delete &unused;
}

void end_process(int status, int signal) {
    process& self = the_process();
    irq_guard guard(self.signal_lock);
    if (!self.exit.exiting) {
        self.exit.exiting = true;
        self.exit.status = status;
        self.exit.signal = signal;
    }
    interrupt_all(self);
}

void exit_task(int status) {
    task& self = *current_task();
    release_robust_futexes(self);
    announce_thread_end(self);
    if (leave_table(the_process(), self, status)) {
        const exit_state& outcome = the_process().exit;
        stop_all_timers();
        descriptors::close_all();
        process_exited(outcome.exiting ? outcome.status : outcome.leader_status, outcome.signal);
    }
    exit_current_thread();
}

limit_values get_limit(limit which) {
    process& self = the_process();
    lock_guard guard(self.identity_lock);
    return self.limits[static_cast<u32>(which)];
}

bool is_capable(u32 capability) {
    process& self = the_process();
    lock_guard guard(self.identity_lock);
    return (self.creds.cap_effective >> capability & 1) != 0;
}

cpu_times process_cpu_times() {
    irq_guard guard(the_process().signal_lock);
    return process_cpu_times_locked();
}

cpu_times process_cpu_times_locked() {
    process& self = the_process();
    cpu_times sum{self.dead_cpu_total, self.dead_cpu_kernel};
    for (task* each = self.tasks.first(); each != nullptr; each = self.tasks.next(*each)) {
        if (each->owner) {
            const cpu_times one = cpu_times_of(*each->owner);
            sum.total += one.total;
            sum.kernel += one.kernel;
        }
    }
    return sum;
}

result<transfer_totals> transfers_of(i32 tid) {
    process& self = the_process();
    irq_guard guard(self.signal_lock);
    transfer_totals sum;
    if (tid != 0) {
        const task* const found = find_task(tid);
        if (found == nullptr) {
            return err::srch;
        }
        sum.add(*found);
        return sum;
    }
    sum = self.dead_transfers;
    for (task* each = self.tasks.first(); each != nullptr; each = self.tasks.next(*each)) {
        sum.add(*each);
    }
    return sum;
}

switch_counts process_switch_counts() {
    process& self = the_process();
    irq_guard guard(self.signal_lock);
    switch_counts sum = self.dead_switches;
    for (task* each = self.tasks.first(); each != nullptr; each = self.tasks.next(*each)) {
        if (each->owner) {
            sum.add(switch_counts_of(*each->owner));
        }
    }
    return sum;
}

result<vector<i32>> task_ids() {
    process& self = the_process();
    vector<i32> ids;
    // Room first: nothing may be allocated under the lock. New threads may come in between.
    TRY(ids.reserve(self.task_count + 16));
    irq_guard guard(self.signal_lock);
    for (task* each = self.tasks.first(); each != nullptr && ids.size() < ids.capacity();
         each = self.tasks.next(*each)) {
        TRY(ids.push_back(each->tid));
    }
    return ids;
}

result<task_summary> summarize_task(i32 tid) {
    irq_guard guard(the_process().signal_lock);
    const task* found = find_task(tid);
    if (found == nullptr || !found->owner) {
        return err::srch;
    }
    task_summary summary{.tid = tid,
                         .comm = {},
                         .started_at = found->started_at,
                         .times = cpu_times_of(*found->owner),
                         .switches = switch_counts_of(*found->owner),
                         .pending = found->pending.set(),
                         .blocked = found->blocked,
                         .sched = found->sched,
                         .realtime_priority =
                             static_cast<i32>(realtime_priority_of(*found->owner)),
                         .affinity = affinity_of(*found->owner)};
    __builtin_memcpy(summary.comm, found->comm, comm_size);
    return summary;
}

signal_summary summarize_signals() {
    process& self = the_process();
    irq_guard guard(self.signal_lock);
    signal_summary summary{.shared_pending = self.pending.set(),
                           .ignored = 0,
                           .caught = 0,
                           .queued = self.queued_signals.load(std::memory_order_relaxed)};
    for (int signo = 1; signo <= signal_limit; ++signo) {
        const u64 handler = self.actions[signo - 1].handler;
        if (handler == sig_ign) {
            summary.ignored |= signal_bit(signo);
        } else if (handler != sig_dfl) {
            summary.caught |= signal_bit(signo);
        }
    }
    return summary;
}

void apply_scheduling(task& changed) {
    if (changed.owner) {
        set_claim(*changed.owner, claim_of(changed.sched));
    }
}

void set_comm(task& which, std::string_view name) {
    char fresh[comm_size] = {};
    name.substr(0, comm_size - 1).copy(fresh, comm_size - 1);
    __builtin_memcpy(which.comm, fresh, comm_size);
}

std::string_view hostname() {
    return the_process().hostname;
}

void set_hostname(std::string_view name) {
    process& self = the_process();
    lock_guard guard(self.identity_lock);
    const usize length = name.copy(self.hostname, sizeof(self.hostname) - 1);
    self.hostname[length] = '\0';
}

}  // namespace kiln

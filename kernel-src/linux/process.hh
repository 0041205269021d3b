// The one process. Files, cwd and umask are in fs-side files, mappings in mm/; everything else that
// the Linux ABI keeps a process is here.
//
// Locks: signal_lock (irq_spinlock) guards the task table, all signal state and the exit state;
// identity_lock guards credentials, limits and names. Neither is held while user memory is touched.
// Order: signal_lock → the scheduler's locks. identity_lock is a leaf.
#pragma once

#include <atomic>

#include "core/spinlock.hh"
#include "core/wait_queue.hh"
#include "lib/tree.hh"
#include "linux/limits.hh"
#include "linux/task.hh"

namespace kiln {

inline constexpr i32 process_id = 2;  // not 1: signals to init are special
inline constexpr i32 parent_id = 1;
inline constexpr i32 first_thread_id = process_id;
inline constexpr i32 tid_limit = 4'194'304;  // Linux's pid_max on 64 bits

inline constexpr usize group_limit = 32;

struct credentials {
    u32 ruid = 0, euid = 0, suid = 0, fsuid = 0;
    u32 rgid = 0, egid = 0, sgid = 0, fsgid = 0;
    u32 group_count = 0;
    u32 groups[group_limit] = {};
    u64 cap_effective = ~u64{0} >> 23, cap_permitted = ~u64{0} >> 23, cap_inheritable = 0;
    u64 cap_bounding = ~u64{0} >> 23, cap_ambient = 0;
    u32 secure_bits = 0;
    bool keep_caps = false;
};
inline constexpr int last_capability = 40;  // CAP_CHECKPOINT_RESTORE
namespace capability {
inline constexpr u32 net_raw = 13, ipc_lock = 14, ipc_owner = 15, sys_admin = 21, sys_nice = 23;
}

struct exit_state {
    bool exiting = false;  // every thread is to end
    int status = 0;        // of exit_group
    int signal = 0;        // that ends the process, or 0
    int leader_status = 0;  // of the first thread's exit, when it ended alone
};

struct transfer_totals {
    u64 bytes_read = 0, bytes_written = 0, reads = 0, writes = 0;

    void add(const task& of) {
        bytes_read += of.reads.bytes.load(std::memory_order_relaxed);
        bytes_written += of.writes.bytes.load(std::memory_order_relaxed);
        reads += of.reads.calls.load(std::memory_order_relaxed);
        writes += of.writes.calls.load(std::memory_order_relaxed);
    }
};

struct process : noncopyable {
    irq_spinlock signal_lock;
    tree<task, &task::by_tid, by_tid_order> tasks;
    list<task, &task::dead_link> dead;
    u32 task_count = 0;
    i32 last_tid = process_id;
    signal_action actions[signal_limit];
    pending_signals pending;
    std::atomic<u32> queued_signals{0};  // for RLIMIT_SIGPENDING
    exit_state exit;
    // What threads that ended have used, nanoseconds.
    u64 dead_cpu_total = 0;
    u64 dead_cpu_kernel = 0;
    switch_counts dead_switches;  // of threads that ended
    transfer_totals dead_transfers;
    wait_queue signal_arrived;

    spinlock identity_lock;
    credentials creds;
    limit_values limits[limit_count];
    i32 group_id = process_id;
    i32 session_id = process_id;
    u32 personality = 0;
    bool no_large_pages = false;  // PR_SET_THP_DISABLE, kept for whoever asks
    u32 membarriers = 0;  // membarrier commands that the program registered for
    i32 dumpable = 1;
    bool no_new_privileges = false;
    bool child_subreaper = false;
    char hostname[65] = "kiln";
    char domainname[65] = "(none)";

    constexpr process();
};
process& the_process();

// The task with this tid, or null. Under signal_lock.
task* find_task(i32 tid);

// What /proc shows of a thread.
struct task_summary {
    i32 tid;
    char comm[comm_size];
    u64 started_at;
    cpu_times times;
    switch_counts switches;
    signal_set pending, blocked;
    scheduling sched;
    i32 realtime_priority;  // with what it inherits
    u64 affinity;
};
result<task_summary> summarize_task(i32 tid);
result<vector<i32>> task_ids();
struct signal_summary {
    signal_set shared_pending, ignored, caught;
    u32 queued;
};
signal_summary summarize_signals();

// What one thread has read and written, or with 0 all of them, the ended ones too. err::srch.
result<transfer_totals> transfers_of(i32 tid);

// CPU time of all threads, living and ended.
cpu_times process_cpu_times();
cpu_times process_cpu_times_locked();  // with signal_lock held
// And how often they have left a CPU.
switch_counts process_switch_counts();

// Ends every thread; the first call decides the outcome. Context: any.
void end_process(int status, int signal);
// Ends the calling thread, and the process with it when it is the last.
[[noreturn]] void exit_task(int status);
// Makes a task with a fresh tid and puts it into the table; err::again when there are too many.
result<task*> add_task();
// For a task whose thread never started.
void discard_task(task& unused);

// Whether the capability is in the process's effective set.
bool is_capable(u32 capability);

// Tells the scheduler what the task's policy and nice value are. Under signal_lock.
void apply_scheduling(task& changed);

void set_comm(task& which, std::string_view name);
std::string_view hostname();
void set_hostname(std::string_view name);

}  // namespace kiln

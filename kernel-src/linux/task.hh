// What Linux adds to a thread. One for each application thread; reached by current_task() or, by tid,
// from the process under its signal_lock.
//
// Life: made by clone (the first one at boot); when its thread ends it leaves the process's table and
// waits on the list of the dead until the scheduler has let go of the thread.
// Fields without a lock named are touched by the thread itself only.
#pragma once

#include <atomic>

#include "core/thread.hh"
#include "lib/ref.hh"
#include "lib/tree.hh"
#include "lib/vector.hh"
#include "linux/restart.hh"
#include "linux/scheduling.hh"
#include "linux/signal_queue.hh"

namespace kiln {

inline constexpr usize comm_size = 16;  // TASK_COMM_LEN, with the NUL

// stack_t.
struct alternate_stack {
    u64 base = 0;
    i32 flags = 0;
    i32 padding = 0;
    u64 size = 0;
};
namespace ss_flag {
inline constexpr i32 onstack = 1, disable = 2;
inline constexpr u32 autodisarm = 1u << 31;
}

struct rseq_registration {
    u64 address = 0;  // 0: none
    u32 length = 0;
    u32 signature = 0;
    u32 cpu = 0;  // as published
    std::atomic<bool> outdated{false};
};

// What the CPU said about the last fault, for the signal frame.
struct fault_record {
    u64 trapno = 0;
    u64 error = 0;
    u64 address = 0;
};

// Bytes and calls of read, write and their relatives. Changed by the thread itself, read by others.
struct transfer_counter {
    std::atomic<u64> bytes{0}, calls{0};

    void add(u64 count) {
        bytes.store(bytes.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
        calls.store(calls.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
};

struct task : noncopyable {
    explicit task(i32 id);
    ~task();

    const i32 tid;
    // The current thread of this task; set before the thread starts.
    ref<thread> owner;
    tree_node by_tid;    // process table; signal_lock
    list_node dead_link;  // signal_lock
    u64 started_at = 0;
    std::atomic<bool> exiting{false};

    // Signals; all guarded by the process's signal_lock, but the thread reads its own masks freely.
    signal_set blocked = 0;
    // Signals that a sigtimedwait is about to take though they are blocked.
    signal_set waited_for = 0;
    // The mask to return to after a temporary one, when mask_is_temporary.
    signal_set saved_mask = 0;
    bool mask_is_temporary = false;
    pending_signals pending;

    alternate_stack altstack{.flags = ss_flag::disable};
    fault_record last_fault;
    restart_block restart;
    // Buffer for the vector registers in signal frames, made when the first is needed.
    vector<std::byte> vector_area;

    u64 clear_child_tid = 0;
    u64 robust_list = 0;
    rseq_registration rseq;

    transfer_counter reads, writes;
    char comm[comm_size] = {};
    scheduling sched;  // signal_lock
    u64 timer_slack = 50'000;
    i32 parent_death_signal = 0;
};

struct by_tid_order {
    bool operator()(const task& a, const task& b) const { return a.tid < b.tid; }
};

}  // namespace kiln

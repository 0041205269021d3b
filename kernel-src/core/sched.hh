// The scheduler's own view of threads and run queues.
//
// One run queue a CPU (core/ready_queue.hh has the order). A thread is on a queue only while it is
// ready and not running. Kernel code is not preempted; application code is, by the flag
// `work_reschedule` that the way back to the program looks at.
//
// Locks: run_queue::lock (irq_spinlock), innermost of all. A thread's state, queue and cpu change only
// under the lock of the queue of the CPU that it names. It is held across the switch of stacks and
// released by the thread switched to (finish_switch), so that nobody can run a thread whose registers
// are not stored yet.
#pragma once

#include <atomic>
#include <string_view>

#include "core/ready_queue.hh"
#include "core/spinlock.hh"
#include "core/thread.hh"
#include "core/timer.hh"
#include "lib/list.hh"
#include "lib/ref.hh"

namespace kiln {

// Reasons why a thread may not simply go back to the program.
namespace thread_work {
inline constexpr u32 reschedule = 1, interrupted = 2, return_work = 4;
}

enum class thread_state : u8 { created, ready, running, parked, dead };

inline constexpr usize kernel_stack_size = 16 * KiB;

// The first base, because entry.S looks for it at the thread's address.
struct thread_work_word {
    std::atomic<u32> work{0};
};

class thread : public thread_work_word, public ref_counted<thread>, public schedulable {
public:
    constexpr thread() = default;

    thread_state state = thread_state::created;
    bool is_user = false;
    bool is_idle = false;
    // Its own claim, and the real-time priority that it has from those who wait for it (0: none); the
    // lock of its queue guards both.
    cpu_claim claim;
    u32 inherited = 0;
    std::atomic<bool> permit{false};
    std::atomic<u32> cpu{0};
    // What the program did that only the kernel may (arch/x86_64/privileged.hh).
    bool interrupts_were_off = false;
    u64 perhaps_halted = 0;
    u32 faults_disabled = 0;      // user copies of this thread do not sleep
    u64 stack_pointer = 0;        // while it does not run
    u64 stack_bottom = 0;
    u64 stack_top = 0;
    u64 started_running = 0;
    std::atomic<u64> run_time{0};
    cpu_time_split time_split;
    std::atomic<u64> parked_count{0};     // how often it left its CPU to sleep,
    std::atomic<u64> preempted_count{0};  // and how often though it wanted to run on
    u64 fs_base = 0;
    task* linux_task = nullptr;
    std::byte* vectors = nullptr;  // vector registers while another thread's are in the CPU
    u32 vector_cpu = max_cpus;     // where they are still in the registers, if that CPU agrees
    char name[16] = {};
    list_node all_node;

    ~thread();
};
static_assert(sizeof(std::atomic<u32>) == 4);

struct run_queue {
    irq_spinlock lock;
    ready_queue ready;
    thread* idle = nullptr;
    thread* dead = nullptr;    // exited on this CPU; let go by whoever runs next
    u64 saved_interrupts = 0;  // what the holder across a switch must restore
    u64 slice_end = never;
    std::atomic<bool> idling{false};
    std::atomic<u32> load{0};  // of who runs, as choose_cpu wants it
};

run_queue& queue_of(u32 cpu);

// Makes the code that is running on this CPU a thread (the boot code, then the idle thread).
void adopt_boot_thread(thread& self, std::string_view name);
// The endless loop of a CPU that has nothing to do.
[[noreturn]] void run_idle();

// Gives the CPU to whoever should run. Context: thread, no spin lock held.
void schedule();
// Moves the caller to a CPU that it may use. Context: thread, no spin lock held.
void leave_forbidden_cpu();
// The slice of the running thread may be over; from the timer interrupt.
void slice_expired();

}  // namespace kiln

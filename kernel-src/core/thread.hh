// Threads: kernel threads and the application's.
//
// The scheduler's own state is in core/sched.hh; what Linux adds to a thread (tid, signals …) is in
// linux/task.hh and hangs on `linux_task`. A thread is freed by the scheduler after it has exited and
// its last reference is gone.
#pragma once

#include <string_view>

#include "core/cpu_claim.hh"
#include "core/cpu_time.hh"
#include "core/park.hh"
#include "lib/ref.hh"
#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

struct task;
struct trap_frame;

inline constexpr u32 max_cpus = 64;

// The CPU that runs the caller; it may change at the next park, yield or preemption.
u32 this_cpu();
// CPUs that are running.
u32 cpu_count();

// A value a CPU; each in a cache line of its own.
template <class T>
class per_cpu {
public:
    T& mine() { return _slots[this_cpu()].value; }
    T& of(u32 cpu) { return _slots[cpu].value; }

private:
    struct alignas(64) slot {
        T value{};
    };
    slot _slots[max_cpus];
};

// Starts a kernel thread. With `cpu` below max_cpus it stays there. It ends when `entry` returns;
// nobody need join it.
result<thread*> start_kernel_thread(std::string_view name, void (*entry)(void*), void* argument,
                                    u32 cpu = max_cpus);

// A new application thread, not yet running. `frame` holds the registers with which it starts in the
// application; its vector state is a copy of the caller's. The caller gets one reference.
result<ref<thread>> make_user_thread(const trap_frame& frame, u64 fs_base, task* linux_task);
void start_thread(thread& made);

// Ends the calling thread; never returns.
[[noreturn]] void exit_current_thread();

// The Linux side of a thread; null for kernel threads.
task* task_of(thread& which);
inline task* current_task() { return task_of(current_thread()); }

// Sets or clears the flag that makes interrupted() true for the thread, ends its interruptible waits
// and makes it run user_return_work (linux/) before it goes on in the application: at once, by IPI,
// when it is running there. Context: any.
void set_interrupted(thread& which, bool value);

// Makes the thread run user_return_work once before it goes on in the application, without
// making interrupted() true: waits go on. For the current thread, and for one that is not running now.
// Context: any.
void request_return_work(thread& which);

// The registers with which the current thread entered the kernel from the application. In faults and
// in calls that need the whole frame (linux/syscall_table.cc) all of it is valid, and what is changed
// there holds on return; in other calls only rsp, rip, rflags, the arguments and the number are.
trap_frame& user_frame();

cpu_times cpu_times_of(thread& which);

// How often a thread has left a CPU: to sleep, and because others were to run.
struct switch_counts {
    u64 voluntary = 0;
    u64 involuntary = 0;

    void add(const switch_counts& more) {
        voluntary += more.voluntary;
        involuntary += more.involuntary;
    }
};
switch_counts switch_counts_of(const thread& which);
// Both together; of the current thread, whether others have run in between.
inline u64 switches_of(const thread& which) {
    const switch_counts counts = switch_counts_of(which);
    return counts.voluntary + counts.involuntary;
}

// The caller goes behind all who may claim the CPU as much as it.
void yield_to_equals();

// What the thread may claim of a CPU from now on. Context: any.
void set_claim(thread& which, const cpu_claim& claim);
// The real-time priority that the thread has, besides its own claim, from a more urgent one that waits
// for it; 0 for none. Returns what it was before. Context: any.
u32 set_inherited_priority(thread& which, u32 priority);
// The larger of the two: the priority with which the scheduler treats it. Context: any.
u32 realtime_priority_of(thread& which);

// CPUs that the thread may run on, bit by CPU number.
u64 affinity_of(thread& which);
result<void> set_affinity(thread& which, u64 cpus);

}  // namespace kiln

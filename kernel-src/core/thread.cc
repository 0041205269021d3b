// kernel only: builds the first stack frame of threads. See thread.hh.
#include "core/thread.hh"

#include <algorithm>

#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/segments.hh"
#include "arch/x86_64/trap_frame.hh"
#include "core/kernel_stack.hh"

extern "C" {
void kernel_thread_start();
void user_thread_start();
}

namespace kiln {
namespace {

// What switch_stacks pops, lowest address first.
struct switch_frame {
    u64 r15, r14, r13, r12, rbx, rbp;
    u64 return_address;
};

result<ref<thread>> make_thread(std::string_view name) {
    ref<thread> made = TRY(make_ref<thread>());
    made->stack_bottom = TRY(allocate_kernel_stack());
    made->stack_top = made->stack_bottom + kernel_stack_size;
    made->cpu = this_cpu();
    name.copy(made->name, sizeof(made->name) - 1);
    return made;
}

}  // namespace

thread::~thread() {
    if (stack_bottom != 0) {
        release_kernel_stack(stack_bottom);
    }
    release_vector_area(vectors);
}

thread& current_thread() {
    thread* current;
    asm volatile("mov %%gs:%c1, %0" : "=r"(current) : "i"(CPU_CURRENT));
    return *current;
}

u32 this_cpu() {
    return this_cpu_block().number;
}

result<thread*> start_kernel_thread(std::string_view name, void (*entry)(void*), void* argument,
                                    u32 cpu_number) {
    ref<thread> made = TRY(make_thread(name));
    made->of_kernel = true;
    if (cpu_number < max_cpus) {
        made->allowed = u64{1} << cpu_number;
    }
    auto* frame = reinterpret_cast<switch_frame*>(made->stack_top - 8) - 1;
    *frame = {.r13 = reinterpret_cast<u64>(argument),
              .r12 = reinterpret_cast<u64>(entry),
              .return_address = reinterpret_cast<u64>(&kernel_thread_start)};
    made->stack_pointer = reinterpret_cast<u64>(frame);
    start_thread(*made);
    return made.get();
}

result<ref<thread>> make_user_thread(const trap_frame& frame, u64 fs_base, task* linux_task) {
    ref<thread> made = TRY(make_thread("app"));
    made->vectors = TRY(copy_vector_area());
    made->is_user = true;
    made->fs_base = fs_base;
    made->linux_task = linux_task;
    auto* registers = reinterpret_cast<trap_frame*>(made->stack_top) - 1;
    *registers = frame;
    auto* start = reinterpret_cast<switch_frame*>(registers) - 1;
    *start = {.return_address = reinterpret_cast<u64>(&user_thread_start)};
    made->stack_pointer = reinterpret_cast<u64>(start);
    return made;
}

void exit_current_thread() {
    disable_interrupts();
    cpu& me = this_cpu_block();
    forget_vector_owner(*me.current);
    static_cast<void>(me.queue.lock.lock());
    me.current->state = thread_state::dead;
    me.queue.lock.unlock(0);
    schedule();
    __builtin_unreachable();
}

extern "C" void exit_kernel_thread() {
    exit_current_thread();
}

task* task_of(thread& which) {
    return which.linux_task;
}

trap_frame& user_frame() {
    return reinterpret_cast<trap_frame*>(current_thread().stack_top)[-1];
}

cpu_times cpu_times_of(thread& which) {
    // It may run on another CPU and stop while it is looked at: then run_time changes.
    for (;;) {
        const u64 accounted = which.run_time.load(std::memory_order_acquire);
        const bool running = static_cast<const volatile thread&>(which).state == thread_state::running;
        const u64 since = __atomic_load_n(&which.started_running, __ATOMIC_ACQUIRE);
        const u64 moment = now();
        if (which.run_time.load(std::memory_order_acquire) == accounted) {
            return which.time_split.divide(accounted +
                                           (running && moment > since ? moment - since : 0));
        }
    }
}

switch_counts switch_counts_of(const thread& which) {
    return {.voluntary = which.parked_count.load(std::memory_order_relaxed),
            .involuntary = which.preempted_count.load(std::memory_order_relaxed)};
}

u64 get_fs_base() {
    return current_thread().fs_base;
}

void set_fs_base(u64 base) {
    current_thread().fs_base = base;
    write_msr(msr::fs_base, base);
}

}  // namespace kiln

// kernel only: stack switches and per-CPU state. See sched.hh for the rules and the lock.
#include "core/sched.hh"

#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/paging.hh"
#include "core/clock.hh"
#include "core/kernel_stack.hh"
#include "core/log.hh"
#include "core/placement.hh"
#include "core/tick.hh"
#include "linux/entry.hh"

extern "C" void switch_stacks(kiln::u64* save_rsp, kiln::u64 next_rsp);

namespace kiln {
namespace {

thread& pick(run_queue& queue, u64 time) {
    schedulable* first = queue.ready.take_first(time);
    return first == nullptr ? *queue.idle : static_cast<thread&>(*first);
}

void start_slice(cpu& me, const thread& next, u64 time) {
    me.queue.slice_end = next.is_idle ? never : me.queue.ready.slice_end({next, time, time});
    if (me.queue.slice_end != never) {
        arm_local_timer(me.queue.slice_end);
    }
}

// Only its CPU changes a thread's counts.
void count_switch(thread& stopped) {
    std::atomic<u64>& count = stopped.state == thread_state::ready ? stopped.preempted_count
                                                                   : stopped.parked_count;
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// The queue of this CPU is locked, interrupts are off, the state of the current thread is set.
// Returns when the thread runs again, with the lock released and interrupts off.
void switch_locked(cpu& me) {
    thread& previous = *me.current;
    const u64 time = now();
    account(me.queue, previous, time);
    if (previous.state == thread_state::running) {
        previous.state = thread_state::ready;
        if (!previous.is_idle) {
            me.queue.ready.insert(previous);
        }
    }
    thread& next = pick(me.queue, time);
    next.state = thread_state::running;
    start_slice(me, next, time);
    if (&next == &previous) {
        me.queue.lock.unlock(0);
        return;
    }
    if (previous.state == thread_state::dead) {
        me.queue.dead = &previous;
    }
    count_switch(previous);
    if (next.linux_task != nullptr) {
        note_cpu(*next.linux_task, me.number);
    }
    next.started_running = time;
    me.queue.load.store(next.is_idle ? 0 : next.priority + 1, std::memory_order_relaxed);
    if (previous.is_realtime() && previous.ready_node.linked()) [[unlikely]] {
        offer(me, previous);
    }
    me.queue.idling.store(next.is_idle, std::memory_order_seq_cst);
    if (previous.is_idle) {
        catch_up_with_flushes();
    }
    if (next.is_user) {
        start_tick(me, time);
    }
    switch_machine_state(me, previous, next);
    switch_stacks(&previous.stack_pointer, next.stack_pointer);
    finish_switch();
}

void give_up_cpu(bool to_equals) {
    const u64 saved = interrupts_save_and_disable();
    cpu& me = this_cpu_block();
    thread& self = *me.current;
    if (is_realtime_in_use()) [[unlikely]] {
        pull_realtime(me, self.state == thread_state::running ? self.priority : 0);
    }
    static_cast<void>(me.queue.lock.lock());
    if (to_equals) {
        me.queue.ready.give_way(self);
    }
    self.work.fetch_and(~thread_work::reschedule, std::memory_order_relaxed);
    switch_locked(me);
    interrupts_restore(saved);
}

struct park_timer : timer {
    explicit park_timer(thread& parked)
        : timer([](timer& expired) { unpark(static_cast<park_timer&>(expired).sleeper); }),
          sleeper(parked) {}
    thread& sleeper;
};

bool may_park(thread& self, bool interruptible) {
    return !self.permit.load(std::memory_order_acquire) &&
           !(interruptible && (self.work.load(std::memory_order_acquire) & thread_work::interrupted));
}

void sleep_until_permit(thread& self, bool interruptible) {
    const u64 saved = interrupts_save_and_disable();
    cpu& me = this_cpu_block();
    KILN_DEBUG_ASSERT(!me.in_interrupt);
    if (is_realtime_in_use()) [[unlikely]] {
        pull_realtime(me, 0);
    }
    static_cast<void>(me.queue.lock.lock());
    if (may_park(self, interruptible)) {
        self.state = thread_state::parked;
        switch_locked(me);
    } else {
        me.queue.lock.unlock(0);
    }
    interrupts_restore(saved);
}

void park_until(u64 deadline, bool interruptible) {
    thread& self = current_thread();
    if (!may_park(self, interruptible)) {
        self.permit.store(false, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return;
    }
    if (deadline == never) {
        sleep_until_permit(self, interruptible);
    } else if (now() < deadline) {
        park_timer alarm(self);
        start_timer(alarm, deadline);
        sleep_until_permit(self, interruptible);
        static_cast<void>(cancel_timer(alarm));
    }
    self.permit.store(false, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace

run_queue& queue_of(u32 cpu_number) {
    return cpu_block(cpu_number).queue;
}

// First thing that any thread does after a switch: on its own stack, interrupts off.
extern "C" void finish_switch() {
    cpu& me = this_cpu_block();
    thread* dead = me.queue.dead;
    me.queue.dead = nullptr;
    me.queue.lock.unlock(0);
    if (dead != nullptr) {
        dead->drop_reference();
    }
}

void schedule() {
    give_up_cpu(false);
}

// A real-time thread has nobody to let go first whom schedule would not.
void yield() {
    give_up_cpu(!current_thread().is_realtime());
}

void yield_to_equals() {
    give_up_cpu(true);
}

void slice_expired() {
    cpu& me = this_cpu_block();
    if (now() >= me.queue.slice_end) {
        me.queue.slice_end = never;
        if (me.queue.ready.count() > 0) {
            me.current->work.fetch_or(thread_work::reschedule, std::memory_order_release);
        }
    }
}

void reschedule_asked_from_afar() {
    cpu& me = this_cpu_block();
    irq_guard guard(me.queue.lock);
    if (me.current->is_idle) {
        return;
    }
    shorten_slice(me, occupant_of(*me.current, now()));
    if (is_realtime_in_use()) {
        // Perhaps this CPU is offered one.
        me.current->work.fetch_or(thread_work::reschedule, std::memory_order_release);
    }
}

void park(u64 deadline) {
    park_until(deadline, false);
}

void park_interruptible(u64 deadline) {
    park_until(deadline, true);
}

void unpark(thread& sleeper) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleeper.permit.exchange(true, std::memory_order_acq_rel)) {
        return;
    }
    const u64 saved = lock_queue_of(sleeper);
    if (sleeper.state == thread_state::parked) {
        make_ready(sleeper, saved);
    } else {
        queue_of(sleeper.cpu.load(std::memory_order_relaxed)).lock.unlock(saved);
    }
}

void start_thread(thread& made) {
    made.add_reference();  // the scheduler's own, dropped after its death
    const u64 saved = lock_queue_of(made);
    KILN_ASSERT(made.state == thread_state::created);
    make_ready(made, saved);
}

bool interrupted() {
    return (current_thread().work.load(std::memory_order_acquire) & thread_work::interrupted) != 0;
}

void set_interrupted(thread& which, bool value) {
    if (!value) {
        which.work.fetch_and(~thread_work::interrupted, std::memory_order_acq_rel);
        return;
    }
    which.work.fetch_or(thread_work::interrupted, std::memory_order_acq_rel);
    unpark(which);
    const u32 where = which.cpu.load(std::memory_order_acquire);
    if (where != this_cpu() && cpu_block(where).current == &which) {
        send_reschedule(where);
    }
}

void request_return_work(thread& which) {
    which.work.fetch_or(thread_work::return_work, std::memory_order_acq_rel);
}

void adopt_boot_thread(thread& self, std::string_view name) {
    cpu& me = this_cpu_block();
    self.state = thread_state::running;
    self.cpu = me.number;
    self.allowed = u64{1} << me.number;
    name.copy(self.name, sizeof(self.name) - 1);
    self.started_running = now();
    self.is_idle = true;
    me.queue.idle = &self;
    me.current = &self;
    me.program_frame = self.stack_top - sizeof(trap_frame);
}

void run_idle() {
    cpu& me = this_cpu_block();
    start_watch(me);
    for (;;) {
        if (me.queue.ready.count() == 0 && !steal(me)) {
            halt_until_interrupt([](void* argument) {
                return static_cast<cpu*>(argument)->queue.ready.count() != 0;
            }, &me);
        }
        if (me.queue.ready.count() != 0) {
            schedule();
        }
    }
}

}  // namespace kiln

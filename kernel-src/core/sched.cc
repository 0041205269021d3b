// kernel only: stack switches and per-CPU state. See sched.hh for the rules and the lock.
#include "core/sched.hh"

#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/paging.hh"
#include "core/clock.hh"
#include "core/kernel_stack.hh"
#include "core/log.hh"
#include "core/tick.hh"
#include "linux/entry.hh"

extern "C" void switch_stacks(kiln::u64* save_rsp, kiln::u64 next_rsp);

namespace kiln {
namespace {

// How long a thread runs while others wait.
constexpr u64 slice_ns = 3 * ns_per_ms;

// How long the running thread has run until `time`, which another CPU's clock may have told.
u64 ran_until(const thread& running, u64 time) {
    return time > running.started_running ? time - running.started_running : 0;
}

u64 virtual_time_now(const thread& running) {
    return running.virtual_time_after(ran_until(running, now()));
}

// What the running thread has used until `time`; its queue is locked.
void account(thread& running, u64 time) {
    const u64 ran = ran_until(running, time);
    running.virtual_time = running.virtual_time_after(ran);
    running.run_time.fetch_add(ran, std::memory_order_relaxed);
    running.started_running += ran;
}

thread& pick(run_queue& queue) {
    schedulable* first = queue.ready.take_first();
    return first == nullptr ? *queue.idle : static_cast<thread&>(*first);
}

void start_slice(cpu& me, bool needed, u64 time) {
    if (!needed) {
        me.queue.slice_end = never;
    } else {
        me.queue.slice_end = time + slice_ns;
        arm_local_timer(me.queue.slice_end);
    }
}

// The queue of this CPU is locked, interrupts are off, the state of the current thread is set.
// Returns when the thread runs again, with the lock released and interrupts off.
void switch_locked(cpu& me) {
    thread& previous = *me.current;
    const u64 time = now();
    account(previous, time);
    if (previous.state == thread_state::running) {
        previous.state = thread_state::ready;
        if (previous.linux_task != nullptr) {
            note_preemption(*previous.linux_task);
        }
        if (!previous.is_idle) {
            me.queue.ready.insert(previous);
        }
    }
    thread& next = pick(me.queue);
    next.state = thread_state::running;
    start_slice(me, me.queue.ready.count() > 0 && !next.is_idle, time);
    if (&next == &previous) {
        me.queue.lock.unlock(0);
        return;
    }
    if (previous.state == thread_state::dead) {
        me.queue.dead = &previous;
    }
    if (next.linux_task != nullptr) {
        note_cpu(*next.linux_task, me.number);
    }
    next.started_running = time;
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

bool is_idle(u32 cpu_number) {
    return queue_of(cpu_number).idling.load(std::memory_order_relaxed);
}

// Puts a woken thread into a CPU's queue, which is locked, and tells the CPU.
void enqueue_woken(u32 cpu_number, thread& woken) {
    run_queue& queue = queue_of(cpu_number);
    thread& running = *cpu_block(cpu_number).current;
    const bool here = cpu_number == this_cpu();
    const u64 running_time = virtual_time_now(running);
    if (!running.is_idle) {
        queue.ready.advance(running_time);
    }
    woken.state = thread_state::ready;
    queue.ready.insert_woken(woken);
    const bool preempt = running.is_idle || takes_over(woken, running, running_time);
    if (preempt) {
        running.work.fetch_or(thread_work::reschedule, std::memory_order_release);
    }
    if (here) {
        if (!preempt && queue.slice_end == never) {
            start_slice(cpu_block(cpu_number), true, now());
        }
    } else if (preempt || queue.slice_end == never) {
        send_reschedule(cpu_number);
    }
}

// Makes a thread that is on no queue ready; its own queue is locked with `saved` and gets unlocked.
void make_ready(thread& woken, u64 saved) {
    const u32 old_cpu = woken.cpu.load(std::memory_order_relaxed);
    const u32 new_cpu = choose_cpu(woken, old_cpu, cpu_count(), &is_idle);
    if (new_cpu == old_cpu) {
        enqueue_woken(old_cpu, woken);
        queue_of(old_cpu).lock.unlock(saved);
        return;
    }
    woken.state = thread_state::ready;
    // Queues of different CPUs run on different scales of virtual time.
    woken.virtual_time = 0;
    woken.cpu.store(new_cpu, std::memory_order_release);
    queue_of(old_cpu).lock.unlock(saved);
    irq_guard guard(queue_of(new_cpu).lock);
    enqueue_woken(new_cpu, woken);
}

u64 lock_queue_of(thread& which) {
    for (;;) {
        const u32 number = which.cpu.load(std::memory_order_acquire);
        const u64 saved = queue_of(number).lock.lock();
        if (which.cpu.load(std::memory_order_relaxed) == number) {
            return saved;
        }
        queue_of(number).lock.unlock(saved);
    }
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

// Takes a ready thread from another CPU for this one, which is idle.
bool steal(cpu& me) {
    for (u32 other = 0; other < cpu_count(); ++other) {
        run_queue& queue = queue_of(other);
        if (other == me.number || queue.ready.count() == 0) {
            continue;
        }
        const u64 saved = queue.lock.lock();
        schedulable* last = queue.ready.last_allowed_on(me.number);
        if (last == nullptr) {
            queue.lock.unlock(saved);
            continue;
        }
        queue.ready.remove(*last);
        auto* taken = static_cast<thread*>(last);
        taken->cpu.store(me.number, std::memory_order_release);
        taken->virtual_time = 0;
        queue.lock.unlock(saved);
        irq_guard guard(me.queue.lock);
        enqueue_woken(me.number, *taken);
        return true;
    }
    return false;
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
    const u64 saved = interrupts_save_and_disable();
    cpu& me = this_cpu_block();
    static_cast<void>(me.queue.lock.lock());
    me.current->work.fetch_and(~thread_work::reschedule, std::memory_order_relaxed);
    switch_locked(me);
    interrupts_restore(saved);
}

void yield() {
    thread& self = current_thread();
    {
        // Behind everybody who is ready.
        cpu& me = this_cpu_block();
        irq_guard guard(me.queue.lock);
        me.queue.ready.move_behind_all(self);
    }
    schedule();
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
    if (me.queue.ready.count() > 0 && me.queue.slice_end == never && !me.current->is_idle) {
        start_slice(me, true, now());
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

void set_claim(thread& which, const cpu_claim& claim) {
    const u64 saved = lock_queue_of(which);
    if (which.state == thread_state::running) {
        account(which, now());
    }
    which.obey(claim);
    queue_of(which.cpu.load(std::memory_order_relaxed)).lock.unlock(saved);
}

u64 affinity_of(thread& which) {
    const u64 all = cpu_count() >= 64 ? ~u64{0} : (u64{1} << cpu_count()) - 1;
    return which.allowed.load(std::memory_order_relaxed) & all;
}

result<void> set_affinity(thread& which, u64 cpus) {
    const u64 all = cpu_count() >= 64 ? ~u64{0} : (u64{1} << cpu_count()) - 1;
    if ((cpus & all) == 0) {
        return err::inval;
    }
    which.allowed.store(cpus, std::memory_order_relaxed);
    if (&which == &current_thread() && !which.allowed_on(this_cpu())) {
        // A parked thread is placed anew when it wakes: wake it in advance, then sleep.
        unpark(which);
        yield();
    }
    return {};
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
    me.kernel_stack_top = self.stack_top;
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

// kernel only: per-CPU state. See placement.hh.
#include "core/placement.hh"

#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/machine.hh"
#include "core/clock.hh"

namespace kiln {

constinit std::atomic<bool> realtime_seen{false};

namespace {

u32 load_of(u32 cpu_number) {
    return queue_of(cpu_number).load.load(std::memory_order_relaxed);
}

// Tells a CPU, whose queue is locked, that one who waits there may be more urgent than who runs.
void preempt(cpu& target) {
    target.current->work.fetch_or(thread_work::reschedule, std::memory_order_release);
    if (target.number != this_cpu()) {
        send_reschedule(target.number);
    }
}

// Puts a woken thread into a CPU's queue, which is locked, and tells the CPU.
void enqueue_woken(cpu& target, thread& woken) {
    ready_queue& ready = target.queue.ready;
    const thread& running = *target.current;
    woken.state = thread_state::ready;
    if (running.is_idle) {
        ready.insert_woken(woken, nullptr);
        preempt(target);
        return;
    }
    const occupant seen = occupant_of(running, now());
    ready.insert_woken(woken, &seen);
    if (ready.takes_over(woken, seen)) {
        preempt(target);
    } else if (target.number == this_cpu()) {
        shorten_slice(target, seen);
    } else if (ready.slice_end(seen) < target.queue.slice_end) {
        send_reschedule(target.number);
    }
}

// Takes a thread that waits for another CPU for this one, when `choose(queue)` finds one there.
template <class Choose>
bool take_from(cpu& me, u32 other, Choose choose) {
    run_queue& queue = queue_of(other);
    const u64 saved = queue.lock.lock();
    schedulable* chosen = choose(queue.ready);
    if (chosen == nullptr) {
        queue.lock.unlock(saved);
        return false;
    }
    queue.ready.remove(*chosen);
    auto* taken = static_cast<thread*>(chosen);
    taken->cpu.store(me.number, std::memory_order_release);
    taken->virtual_time = 0;
    queue.lock.unlock(saved);
    irq_guard guard(me.queue.lock);
    enqueue_woken(me, *taken);
    return true;
}

}  // namespace

void shorten_slice(cpu& me, const occupant& running) {
    const u64 end = me.queue.ready.slice_end(running);
    if (end < me.queue.slice_end) {
        me.queue.slice_end = end;
        arm_local_timer(end);
    }
}

void offer(cpu& me, const thread& preempted) {
    const u32 other = choose_cpu(preempted, me.number, cpu_count(), &load_of);
    if (other != me.number && load_of(other) <= preempted.priority) {
        send_reschedule(other);
    }
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

void make_ready(thread& woken, u64 saved) {
    cpu& old = cpu_block(woken.cpu.load(std::memory_order_relaxed));
    const u32 cpus = cpu_count();
    const u32 new_cpu = cpus == 1 ? old.number : choose_cpu(woken, old.number, cpus, &load_of);
    if (new_cpu == old.number) {
        enqueue_woken(old, woken);
        old.queue.lock.unlock(saved);
        return;
    }
    woken.state = thread_state::ready;
    // Queues of different CPUs run on different scales of virtual time.
    woken.virtual_time = 0;
    woken.cpu.store(new_cpu, std::memory_order_release);
    old.queue.lock.unlock(saved);
    cpu& next = cpu_block(new_cpu);
    irq_guard guard(next.queue.lock);
    enqueue_woken(next, woken);
}

bool steal(cpu& me) {
    for (u32 other = 0; other < cpu_count(); ++other) {
        if (other == me.number || queue_of(other).ready.count() == 0) {
            continue;
        }
        if (take_from(me, other, [&me](const ready_queue& ready) {
                return ready.first_to_leave_for(me.number);
            })) {
            return true;
        }
    }
    return false;
}

void pull_realtime(cpu& me, u32 priority) {
    for (u32 other = 0; other < cpu_count(); ++other) {
        if (other == me.number || queue_of(other).ready.count_realtime() == 0) {
            continue;
        }
        take_from(me, other, [&](const ready_queue& ready) {
            schedulable* urgent = ready.first_realtime_for(me.number);
            return urgent != nullptr && urgent->priority > priority ? urgent : nullptr;
        });
    }
}

namespace {

// The thread's own claim or the inherited priority has changed; its queue is locked.
void renew_claim(thread& which) {
    cpu& where = cpu_block(which.cpu.load(std::memory_order_relaxed));
    ready_queue& ready = where.queue.ready;
    cpu_claim effective = which.claim;
    effective.priority = std::max(effective.priority, which.inherited);
    if (effective.priority != 0) {
        realtime_seen.store(true, std::memory_order_relaxed);
    }
    if (which.state == thread_state::running) {
        account(where.queue, which, now());
        which.obey(effective);
        ready.settle(which);
        where.queue.load.store(which.priority + 1, std::memory_order_relaxed);
        if (ready.count() != 0) {
            preempt(where);
        }
    } else if (which.ready_node.linked()) {
        ready.remove(which);
        which.obey(effective);
        enqueue_woken(where, which);
    } else {
        which.obey(effective);
    }
}

}  // namespace

void set_claim(thread& which, const cpu_claim& claim) {
    const u64 saved = lock_queue_of(which);
    which.claim = claim;
    renew_claim(which);
    queue_of(which.cpu.load(std::memory_order_relaxed)).lock.unlock(saved);
}

u32 set_inherited_priority(thread& which, u32 priority) {
    const u64 saved = lock_queue_of(which);
    const u32 before = which.inherited;
    if (before != priority) {
        which.inherited = priority;
        renew_claim(which);
    }
    queue_of(which.cpu.load(std::memory_order_relaxed)).lock.unlock(saved);
    return before;
}

u32 realtime_priority_of(thread& which) {
    const u64 saved = lock_queue_of(which);
    const u32 priority = which.priority;
    queue_of(which.cpu.load(std::memory_order_relaxed)).lock.unlock(saved);
    return priority;
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
    const u64 saved = lock_queue_of(which);
    cpu& where = cpu_block(which.cpu.load(std::memory_order_relaxed));
    if (which.ready_node.linked() && !which.allowed_on(where.number)) {
        where.queue.ready.remove(which);
        make_ready(which, saved);
        return {};
    }
    if (which.state == thread_state::running && !which.allowed_on(where.number)) {
        preempt(where);
    }
    where.queue.lock.unlock(saved);
    leave_forbidden_cpu();
    return {};
}

// One who sleeps is placed anew when it wakes.
void leave_forbidden_cpu() {
    constexpr u64 shortest_sleep = 10 * ns_per_us;
    while (!current_thread().allowed_on(this_cpu())) {
        park(deadline_after(shortest_sleep));
    }
}

}  // namespace kiln

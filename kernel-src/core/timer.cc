// kernel only: per-CPU queues driven by the local timer interrupt. See timer.hh.
//
// Lock: a queue's own (irq), never two at once; `fire` runs without it.
#include "core/timer.hh"

#include "arch/x86_64/machine.hh"
#include "core/spinlock.hh"
#include "core/thread.hh"

namespace kiln {
namespace {

struct fires_earlier {
    bool operator()(const timer& a, const timer& b) const { return a.deadline < b.deadline; }
};

struct timer_queue {
    irq_spinlock lock;
    tree<timer, &timer::node, fires_earlier> pending;
    std::atomic<timer*> firing{nullptr};
};

constinit per_cpu<timer_queue> queues;

bool take_off(timer& which) {
    timer_queue& queue = queues.of(which.cpu);
    irq_guard guard(queue.lock);
    if (!which.node.linked()) {
        return false;
    }
    queue.pending.remove(which);
    return true;
}

timer* take_expired(timer_queue& queue) {
    irq_guard guard(queue.lock);
    timer* first = queue.pending.first();
    if (first == nullptr || first->deadline > now()) {
        queue.firing.store(nullptr, std::memory_order_release);
        return nullptr;
    }
    queue.pending.remove(*first);
    queue.firing.store(first, std::memory_order_release);
    return first;
}

}  // namespace

void start_timer(timer& which, u64 deadline) {
    static_cast<void>(take_off(which));
    const u64 saved = interrupts_save_and_disable();
    which.deadline = deadline;
    which.cpu = this_cpu();
    timer_queue& queue = queues.of(which.cpu);
    bool first;
    {
        irq_guard guard(queue.lock);
        queue.pending.insert(which);
        first = queue.pending.first() == &which;
    }
    if (first) {
        arm_local_timer(deadline);
    }
    interrupts_restore(saved);
}

bool cancel_timer(timer& which) {
    if (take_off(which)) {
        return true;
    }
    timer_queue& queue = queues.of(which.cpu);
    while (queue.firing.load(std::memory_order_acquire) == &which) {
        cpu_relax();
    }
    return false;
}

void run_expired_timers() {
    timer_queue& queue = queues.mine();
    while (timer* expired = take_expired(queue)) {
        expired->fire(*expired);
    }
}

u64 next_timer_deadline() {
    timer_queue& queue = queues.mine();
    irq_guard guard(queue.lock);
    timer* first = queue.pending.first();
    return first == nullptr ? never : first->deadline;
}

}  // namespace kiln

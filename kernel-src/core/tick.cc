// kernel only: per-CPU state. See tick.hh.
#include "core/tick.hh"

#include <algorithm>

#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/machine.hh"
#include "core/clock.hh"
#include "core/sched.hh"

namespace kiln {
namespace {

void sample(cpu& me, u64 time, bool in_program) {
    thread& running = *me.current;
    if (!running.is_user) {
        me.tick.tick_at = never;
        return;
    }
    running.time_split.sample(in_program);
    me.tick.tick_at = time + tick_period_ns;
}

void watch_next(cpu& me, u64 time) {
    me.tick.watch_at = time + watch_period_ns;
    const u32 next = (me.number + 1) % cpu_count();
    const u32 count = interrupts_taken_by(next);
    if (count == me.tick.watched_count && !queue_of(next).idling.load(std::memory_order_relaxed)) {
        send_nmi_to_cpu(next);
    }
    me.tick.watched_count = count;
}

}  // namespace

void start_watch(cpu& me) {
    if (cpu_count() > 1) {
        arm_local_timer(me.tick.watch_at);
    }
}

void start_tick(cpu& me, u64 time) {
    if (me.tick.tick_at == never) {
        me.tick.tick_at = time + tick_period_ns;
        arm_local_timer(me.tick.tick_at);
    }
}

u64 run_tick(cpu& me, bool in_program) {
    const u64 time = now();
    if (time >= me.tick.tick_at) {
        sample(me, time, in_program);
    }
    if (cpu_count() > 1 && time >= me.tick.watch_at) {
        watch_next(me, time);
    }
    return std::min(me.tick.tick_at, cpu_count() > 1 ? me.tick.watch_at : never);
}

}  // namespace kiln

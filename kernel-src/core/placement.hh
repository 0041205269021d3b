// Which thread waits for which CPU: where the woken go, what idle CPUs take from others, how real-time
// threads spread, what changes when a thread's claim or affinity does. A part of the scheduler, for
// core/sched.cc only; its rules, and the lock, are in sched.hh and ready_queue.hh.
//
// Never two queues' locks at once: a thread on its way has the new CPU's number already, and is on no
// queue. Context: any, but where said.
#pragma once

#include <algorithm>

#include "core/sched.hh"

namespace kiln {

struct cpu;

// Whether there has been a real-time thread yet: only then is it worth while to look for those that
// wait elsewhere.
extern std::atomic<bool> realtime_seen;
inline bool is_realtime_in_use() {
    return realtime_seen.load(std::memory_order_relaxed);
}

// The CPU's running thread as its queue sees it. The time may be of another CPU's clock.
inline occupant occupant_of(const thread& running, u64 time) {
    return {running, running.started_running, std::max(time, running.started_running)};
}

// What the running thread has used until `time`; its queue is locked.
inline void account(run_queue& queue, thread& running, u64 time) {
    const occupant seen = occupant_of(running, time);
    queue.ready.charge(running, seen.since, seen.time);
    running.run_time.fetch_add(seen.time - seen.since, std::memory_order_relaxed);
    running.started_running = seen.time;
}

// Locks the queue of the CPU that the thread is on or was on last; what unlock must be given back.
u64 lock_queue_of(thread& which);
// Makes a thread that is on no queue ready; its own queue is locked with `saved` and gets unlocked.
void make_ready(thread& woken, u64 saved);
// Somebody has come to wait behind the running thread. The queue of this CPU is locked.
void shorten_slice(cpu& me, const occupant& running);
// A real-time thread had to let a more urgent one run here: perhaps it is the most urgent elsewhere.
[[gnu::cold]] void offer(cpu& me, const thread& preempted);
// Takes a thread that waits elsewhere for this CPU, which is idle; whether there was one.
bool steal(cpu& me);
// Takes real-time threads that wait elsewhere and are more urgent than all here, where `priority` is
// that of the thread that runs on, if one does. Interrupts are off, no queue is locked.
void pull_realtime(cpu& me, u32 priority);

}  // namespace kiln

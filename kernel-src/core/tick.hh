// The slow tick of a CPU that runs the program: a hundred times a second, only while it does.
//
// It samples whether the CPU is in the program or in the kernel (core/cpu_time.hh), and it is what
// ends a `hlt` of the program on a CPU that nothing else would interrupt. With several CPUs each
// also looks after the next one, once a second: one that takes no interrupts is asked by NMI
// (arch). Context: interrupts off.
#pragma once

#include "lib/types.hh"

namespace kiln {

struct cpu;

inline constexpr u64 tick_period_ns = 10'000'000;
inline constexpr u64 watch_period_ns = 1'000'000'000;

struct tick_state {
    u64 tick_at;          // never while no application thread has run since the last one
    u64 watch_at;
    u32 watched_count;    // interrupts that the watched CPU had taken when last looked at
};

// Once on each CPU, when all are known: begins to look after the next one.
void start_watch(cpu& me);
// An application thread gets the CPU.
void start_tick(cpu& me, u64 time);
// From the timer interrupt. Returns when the next one is due.
u64 run_tick(cpu& me, bool in_program);

}  // namespace kiln

// How much of a thread's CPU time was the program's and how much the kernel's.
//
// Reading a clock on each way into the kernel and back would cost every system call; instead a slow
// tick (core/tick.hh) looks which of the two it finds, and the exactly measured total is divided in
// the proportion found, as Linux does. Neither part ever runs backwards. Context: any; sample from
// the tick of the CPU that runs the thread.
#pragma once

#include <algorithm>

#include "core/spinlock.hh"
#include "lib/scale.hh"

namespace kiln {

// Nanoseconds of CPU time that a thread has used: in all, and inside the kernel.
struct cpu_times {
    u64 total;
    u64 kernel;

    u64 user() const { return total - kernel; }
};

class cpu_time_split : noncopyable {
public:
    constexpr cpu_time_split() = default;

    void sample(bool in_program) {
        (in_program ? _program_ticks : _kernel_ticks).fetch_add(1, std::memory_order_relaxed);
    }

    // `total` may be older than one that another CPU has asked about before.
    cpu_times divide(u64 total) {
        irq_guard guard(_lock);
        total = std::max(total, _program + _kernel);
        _kernel = std::max(_kernel, share_of_kernel(total));
        _kernel = std::min(_kernel, total - _program);
        _program = total - _kernel;
        return {.total = total, .kernel = _kernel};
    }

private:
    u64 share_of_kernel(u64 total) const {
        const u64 kernel = _kernel_ticks.load(std::memory_order_relaxed);
        const u64 program = _program_ticks.load(std::memory_order_relaxed);
        return kernel == 0 ? 0 : multiply_divide(total, kernel, kernel + program);
    }

    std::atomic<u32> _program_ticks{0};
    std::atomic<u32> _kernel_ticks{0};
    irq_spinlock _lock;
    u64 _program = 0;  // as last told
    u64 _kernel = 0;
};

}  // namespace kiln

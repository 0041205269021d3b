// Notices a device that interrupts without end for nothing. Not for the interrupts of others on the same
// line. Context: the interrupt handler, which no other of the same device interrupts.
#pragma once

#include <atomic>

#include "lib/types.hh"

namespace kiln {

class interrupt_watch {
public:
    // In a row. A thread may have taken what an interrupt was for, but not that often.
    static constexpr u32 most_idle = 50'000;

    // With each interrupt: whether there was something to do. True once, when it is enough.
    [[nodiscard]] bool is_endless(bool worked) {
        if (worked) {
            _idle.store(0, std::memory_order_relaxed);
            return false;
        }
        return _idle.fetch_add(1, std::memory_order_relaxed) + 1 == most_idle;
    }

private:
    std::atomic<u32> _idle{0};
};

}  // namespace kiln

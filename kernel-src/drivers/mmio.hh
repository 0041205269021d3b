// Access to device registers in memory, one access each, never merged or reordered by the compiler,
// and the fence for memory that a device reads and writes by itself. x86 keeps uncached accesses in
// order.
#pragma once

#include <atomic>

#include "lib/types.hh"

namespace kiln {

template <class T>
T mmio_read(const volatile void* base, usize offset = 0) {
    return *reinterpret_cast<const volatile T*>(static_cast<const volatile u8*>(base) + offset);
}

template <class T>
void mmio_write(volatile void* base, usize offset, T value) {
    *reinterpret_cast<volatile T*>(static_cast<volatile u8*>(base) + offset) = value;
}

// QEMU's emulator leaves fences and lock prefixes out where the machine has one CPU (until 8.1, by
// its tcg_gen_mb), though the device is a thread of its own. Set at boot, on one CPU of that emulator.
extern bool emulator_drops_fences;

// What was stored before is seen by the device before anything is loaded after.
inline void device_fence() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
#ifdef __x86_64__
    if (emulator_drops_fences) [[unlikely]] {
        // The emulator reads its clock under a lock, which it takes by a locked exchange.
        asm volatile("rdtsc" : : : "rax", "rdx", "memory");
    }
#endif
}

}  // namespace kiln

// Access to device registers in memory, one access each, never merged or reordered by the compiler.
// x86 keeps uncached accesses in order.
#pragma once

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

}  // namespace kiln

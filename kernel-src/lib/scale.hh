// Multiplication and division through 128 bits.
#pragma once

#include "lib/types.hh"

namespace kiln {

// a * b / c, rounded down; the quotient must fit in 64 bits. By the CPU's own instructions, because the
// compiler's 128-bit division is a library call that the kernel does not have.
inline u64 multiply_divide(u64 a, u64 b, u64 c) {
    u64 quotient = a;
    u64 rest;
    asm("mulq %2\n\tdivq %3" : "+a"(quotient), "=&d"(rest) : "r"(b), "r"(c) : "cc");
    return quotient;
}

// a * b >> 32 without losing the upper bits on the way.
inline u64 multiply_shift32(u64 a, u64 b) {
    return static_cast<u64>(static_cast<unsigned __int128>(a) * b >> 32);
}

}  // namespace kiln

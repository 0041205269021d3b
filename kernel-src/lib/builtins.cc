// kernel only: the host has the compiler's own library.
//
// Routines that the compiler calls where the CPU's baseline has no instruction.
#include "lib/types.hh"

extern "C" int __popcountdi2(kiln::u64 value) {
    value -= value >> 1 & 0x5555'5555'5555'5555;
    value = (value & 0x3333'3333'3333'3333) + (value >> 2 & 0x3333'3333'3333'3333);
    value = (value + (value >> 4)) & 0x0f0f'0f0f'0f0f'0f0f;
    return static_cast<int>(value * 0x0101'0101'0101'0101 >> 56);
}

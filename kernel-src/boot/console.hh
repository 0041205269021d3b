// Loaders: how to tell a human what went wrong; `die` ends every failure.
//
// Purpose: the BIOS loader writes to the BIOS's screen and to COM1 alike, the UEFI loader to the
// firmware's console. Each has its own `put` and `halt`.
// Invariants: printing never waits without bound; a machine without UART or screen only loses text.
#pragma once

#include "types.hh"

namespace boot {

struct hex {
    u64 value;
};

void put(char letter);
void print(const char* text);
void print(u32 number);
void print(hex number);

[[noreturn]] void halt();

// Says "kiln loader: " and the parts as one line, then stops for good.
template <class... Parts>
[[noreturn]] void die(Parts... parts) {
    print("kiln loader: ");
    (print(parts), ...);
    print("\r\n");
    halt();
}

}  // namespace boot

// BIOS loader: the two ways to tell a human what went wrong.
//
// Purpose: text goes to the BIOS screen and to COM1 alike; `die` ends every failure.
// Invariants: printing never waits without bound; a machine without UART or screen only loses text.
// Context: 32-bit protected mode; uses BIOS calls.
#pragma once

#include "layout.hh"

namespace boot {

struct hex {
    u64 value;
};

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

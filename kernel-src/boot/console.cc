// BIOS loader: text on the screen (INT 10h, AH=0Eh) and on COM1 (polled 16550).
//
// Invariants: at most 65536 polls a character, so that a dead UART slows down but never hangs.
// Context: 32-bit protected mode; uses BIOS calls.

#include "console.hh"

#include "bios.hh"

namespace boot {
namespace {

constexpr u16 com1 = 0x3f8;
bool uart_ready = false;

void set_up_uart() {
    out_byte(com1 + 1, 0x00);  // no interrupts
    out_byte(com1 + 3, 0x80);  // divisor latch: 115200 baud
    out_byte(com1 + 0, 0x01);
    out_byte(com1 + 1, 0x00);
    out_byte(com1 + 3, 0x03);  // 8 data bits, no parity, 1 stop bit
    uart_ready = true;
}

void write_uart(char letter) {
    if (!uart_ready) {
        set_up_uart();
    }
    for (u32 poll = 0; poll < 65536 && (in_byte(com1 + 5) & 0x20) == 0; ++poll) {
    }
    out_byte(com1, static_cast<u8>(letter));
}

void write_screen(char letter) {
    bios_frame frame{};
    frame.eax = 0x0e00 | static_cast<u8>(letter);
    frame.ebx = 7;
    bios_call(0x10, &frame);
}

}  // namespace

void put(char letter) {
    write_uart(letter);
    write_screen(letter);
}

void halt() {
    while (true) {
        asm volatile("cli; hlt");
    }
}

}  // namespace boot

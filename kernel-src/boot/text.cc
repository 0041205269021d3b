// Loaders: numbers as text, on whatever `put` writes to.
//
// Context: as `put` of the loader that this is linked into.

#include "console.hh"

namespace boot {

void print(const char* text) {
    while (*text != 0) {
        put(*text++);
    }
}

void print(u32 number) {
    char text[11];
    u32 at = sizeof text - 1;
    text[at] = 0;
    do {
        text[--at] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    print(text + at);
}

void print(hex number) {
    print("0x");
    u32 digits = 1;
    while (digits < 16 && number.value >> (digits * 4) != 0) {
        ++digits;
    }
    while (digits-- > 0) {
        put("0123456789abcdef"[(number.value >> (digits * 4)) & 15]);
    }
}

}  // namespace boot

// Bit by bit: the amounts are a few kilobytes at boot.
#include "lib/checksum.hh"

namespace kiln {
namespace {

u32 reflected_crc(u32 crc, u32 polynomial, std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
        crc ^= static_cast<u8>(byte);
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ (polynomial & (0 - (crc & 1)));
        }
    }
    return crc;
}

}  // namespace

u32 crc32c(u32 seed, std::span<const std::byte> bytes) {
    return reflected_crc(seed, 0x82f63b78, bytes);
}

u32 crc32(std::span<const std::byte> bytes) {
    return ~reflected_crc(~0u, 0xedb88320, bytes);
}

}  // namespace kiln

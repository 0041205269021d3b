// Checksums of disk formats.
#pragma once

#include <span>

#include "lib/types.hh"

namespace kiln {

// CRC-32C (RFC 3720, appendix B.4) without the final inversion; `seed` continues an earlier one.
u32 crc32c(u32 seed, std::span<const std::byte> bytes);
// CRC-32 of IEEE 802.3, as in GPT headers: from 0, inverted at both ends.
u32 crc32(std::span<const std::byte> bytes);

}  // namespace kiln

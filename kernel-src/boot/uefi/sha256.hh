// UEFI loader: SHA-256 (FIPS 180-4), of a whole message at once.
#pragma once

#include "../types.hh"

namespace boot {

struct digest {
    u8 bytes[32];

    bool operator==(const digest& other) const;
};

digest sha256(const u8* message, u64 size);

}  // namespace boot

// Random numbers for everybody: a ChaCha20 generator a CPU, seeded from the devices and the CPU.
// Context: any but NMI.
#pragma once

#include <span>

#include "lib/types.hh"

namespace kiln {

void random_bytes(std::span<std::byte> to);
u64 random_u64();

// Mixes in bytes from a source outside (virtio-rng, RDRAND, interrupt times).
void add_entropy(std::span<const std::byte> seed);

}  // namespace kiln

// Random numbers of the host tests: the same at every run.
#include "core/entropy.hh"

namespace kiln {
namespace {

u64 state = 0x853c49e6748fea9b;

}  // namespace

u64 random_u64() {
    state += 0x9e3779b97f4a7c15;
    u64 mixed = state;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

void random_bytes(std::span<std::byte> to) {
    for (std::byte& byte : to) {
        byte = static_cast<std::byte>(random_u64());
    }
}

void add_entropy(std::span<const std::byte>) {}

}  // namespace kiln

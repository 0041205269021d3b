// See sha256.hh.

#include "sha256.hh"

namespace boot {
namespace {

constexpr u32 block_size = 64;

// FIPS 180-4, section 4.2.2.
constexpr u32 round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

u32 read_word(const u8* at) {
    return static_cast<u32>(at[0]) << 24 | static_cast<u32>(at[1]) << 16 |
           static_cast<u32>(at[2]) << 8 | at[3];
}

void write_word(u8* at, u32 value) {
    at[0] = static_cast<u8>(value >> 24);
    at[1] = static_cast<u8>(value >> 16);
    at[2] = static_cast<u8>(value >> 8);
    at[3] = static_cast<u8>(value);
}

u32 turn(u32 value, u32 bits) { return value >> bits | value << (32 - bits); }

// Section 6.2.2.
void add_block(u32* state, const u8* block) {
    u32 words[64];
    for (u32 at = 0; at < 16; ++at) {
        words[at] = read_word(block + 4 * at);
    }
    for (u32 at = 16; at < 64; ++at) {
        u32 early = words[at - 15];
        u32 late = words[at - 2];
        words[at] = words[at - 16] + (turn(early, 7) ^ turn(early, 18) ^ early >> 3) +
                    words[at - 7] + (turn(late, 17) ^ turn(late, 19) ^ late >> 10);
    }
    u32 a = state[0], b = state[1], c = state[2], d = state[3];
    u32 e = state[4], f = state[5], g = state[6], h = state[7];
    for (u32 at = 0; at < 64; ++at) {
        u32 first = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) +
                    round_constants[at] + words[at];
        u32 second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + first;
        d = c;
        c = b;
        b = a;
        a = first + second;
    }
    const u32 sum[8] = {a, b, c, d, e, f, g, h};
    for (u32 at = 0; at < 8; ++at) {
        state[at] += sum[at];
    }
}

// The rest of the message with its padding (section 5.1.1): one or two blocks.
void add_end(u32* state, const u8* rest, u64 size) {
    u8 tail[2 * block_size];
    u32 used = size % block_size;
    u32 whole = used + 9 <= block_size ? block_size : 2 * block_size;
    for (u32 at = 0; at < whole; ++at) {
        tail[at] = at < used ? rest[at] : 0;
    }
    tail[used] = 0x80;
    write_word(tail + whole - 8, static_cast<u32>(size >> 29));
    write_word(tail + whole - 4, static_cast<u32>(size << 3));
    for (u32 at = 0; at < whole; at += block_size) {
        add_block(state, tail + at);
    }
}

}  // namespace

bool digest::operator==(const digest& other) const {
    u32 different = 0;
    for (u32 at = 0; at < sizeof bytes; ++at) {
        different |= bytes[at] ^ other.bytes[at];
    }
    return different == 0;
}

digest sha256(const u8* message, u64 size) {
    u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    u64 at = 0;
    for (; at + block_size <= size; at += block_size) {
        add_block(state, message + at);
    }
    add_end(state, message + at, size);
    digest result;
    for (u32 word = 0; word < 8; ++word) {
        write_word(result.bytes + 4 * word, state[word]);
    }
    return result;
}

}  // namespace boot

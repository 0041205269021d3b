// kernel only: reads the CPU's own generator and counter.
//
// One ChaCha20 generator (RFC 8439, 2.3) behind a lock, re-keyed with its own output after each use, so
// that what was given out cannot be computed back. Seeds are mixed into the key by XOR and a block.
// Lock: `lock` (irq), innermost.
#include "core/entropy.hh"

#include <algorithm>
#include <bit>

#include "arch/x86_64/msr.hh"
#include "core/spinlock.hh"
#include "lib/bytes.hh"

namespace kiln {
namespace {

constexpr usize block_size = 64;
constexpr usize key_words = 8;
constexpr usize pool_size = 448;

struct generator {
    irq_spinlock lock;
    u32 key[key_words]{};
    u64 counter = 0;
    u8 pool[pool_size]{};
    usize left = 0;
    bool seeded = false;
};
constinit generator random;

void quarter_round(u32& a, u32& b, u32& c, u32& d) {
    a += b; d = std::rotl(d ^ a, 16);
    c += d; b = std::rotl(b ^ c, 12);
    a += b; d = std::rotl(d ^ a, 8);
    c += d; b = std::rotl(b ^ c, 7);
}

void chacha_block(const u32 (&key)[key_words], u64 counter, u8* to) {
    u32 initial[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    std::copy_n(key, key_words, initial + 4);
    initial[12] = static_cast<u32>(counter);
    initial[13] = static_cast<u32>(counter >> 32);
    u32 x[16];
    std::copy_n(initial, 16, x);
    for (int round = 0; round < 10; ++round) {
        quarter_round(x[0], x[4], x[8], x[12]);
        quarter_round(x[1], x[5], x[9], x[13]);
        quarter_round(x[2], x[6], x[10], x[14]);
        quarter_round(x[3], x[7], x[11], x[15]);
        quarter_round(x[0], x[5], x[10], x[15]);
        quarter_round(x[1], x[6], x[11], x[12]);
        quarter_round(x[2], x[7], x[8], x[13]);
        quarter_round(x[3], x[4], x[9], x[14]);
    }
    for (int i = 0; i < 16; ++i) {
        store<u32>(to + 4 * i, x[i] + initial[i]);
    }
}

void refill() {
    u8 block[block_size];
    chacha_block(random.key, random.counter++, block);
    __builtin_memcpy(random.key, block, sizeof(random.key));
    for (usize at = 0; at < pool_size; at += block_size) {
        chacha_block(random.key, random.counter++, random.pool + at);
    }
    random.left = pool_size;
}

bool read_cpu_random(u64& value) {
    if ((cpuid(1).ecx & 1u << 30) == 0) {
        return false;
    }
    u8 good = 0;
    for (int attempt = 0; attempt < 10 && good == 0; ++attempt) {
        asm volatile("rdrand %0; setc %1" : "=r"(value), "=q"(good) : : "cc");
    }
    return good != 0;
}

void mix(const std::byte* seed, usize size) {
    auto* key = reinterpret_cast<u8*>(random.key);
    for (usize i = 0; i < size; ++i) {
        key[i % sizeof(random.key)] ^= static_cast<u8>(seed[i]);
        if (i % sizeof(random.key) == sizeof(random.key) - 1) {
            refill();
        }
    }
    refill();
}

void seed_from_cpu() {
    u64 words[5] = {read_tsc()};
    for (usize i = 1; i < std::size(words); ++i) {
        if (!read_cpu_random(words[i])) {
            words[i] = read_tsc();
        }
    }
    mix(reinterpret_cast<const std::byte*>(words), sizeof(words));
    random.seeded = true;
}

}  // namespace

void add_entropy(std::span<const std::byte> seed) {
    irq_guard guard(random.lock);
    mix(seed.data(), seed.size());
}

void random_bytes(std::span<std::byte> to) {
    irq_guard guard(random.lock);
    if (!random.seeded) {
        seed_from_cpu();
    }
    while (!to.empty()) {
        if (random.left == 0) {
            refill();
        }
        const usize step = std::min(to.size(), random.left);
        u8* from = random.pool + (pool_size - random.left);
        __builtin_memcpy(to.data(), from, step);
        __builtin_memset(from, 0, step);
        random.left -= step;
        to = to.subspan(step);
    }
}

u64 random_u64() {
    u64 value;
    random_bytes(std::as_writable_bytes(std::span(&value, 1)));
    return value;
}

}  // namespace kiln

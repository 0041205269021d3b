// Unaligned, endian-aware access to bytes from outside: packets, disk structures, ELF.
#pragma once

#include <bit>
#include <concepts>

#include "lib/types.hh"

namespace kiln {

static_assert(std::endian::native == std::endian::little);

template <std::integral T>
T load(const void* from) {
    T value;
    __builtin_memcpy(&value, from, sizeof(T));
    return value;
}

template <std::integral T>
void store(void* to, T value) {
    __builtin_memcpy(to, &value, sizeof(T));
}

inline constexpr u16 byteswap(u16 value) { return __builtin_bswap16(value); }
inline constexpr u32 byteswap(u32 value) { return __builtin_bswap32(value); }
inline constexpr u64 byteswap(u64 value) { return __builtin_bswap64(value); }

template <std::unsigned_integral T>
T load_be(const void* from) {
    return byteswap(load<T>(from));
}

template <std::unsigned_integral T>
void store_be(void* to, T value) {
    store<T>(to, byteswap(value));
}

}  // namespace kiln

// Fixed-width names used everywhere, and the few helpers on integers that every layer needs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kiln {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using usize = std::size_t;
using isize = std::ptrdiff_t;

inline constexpr usize page_shift = 12;
inline constexpr usize page_size = usize{1} << page_shift;
inline constexpr usize large_page_size = usize{2} << 20;

inline constexpr usize KiB = 1024;
inline constexpr usize MiB = 1024 * KiB;
inline constexpr usize GiB = 1024 * MiB;

// `alignment` is a power of two.
template <class T>
constexpr T align_down(T value, usize alignment) {
    return static_cast<T>(value & ~static_cast<T>(alignment - 1));
}

// Wraps to 0 when the result does not fit: callers that take outside values check first.
template <class T>
constexpr T align_up(T value, usize alignment) {
    return align_down(static_cast<T>(value + (alignment - 1)), alignment);
}

template <class T>
constexpr bool is_aligned(T value, usize alignment) {
    return (value & static_cast<T>(alignment - 1)) == 0;
}

// Base for types that have one owner and never move.
struct noncopyable {
    constexpr noncopyable() = default;
    noncopyable(const noncopyable&) = delete;
    noncopyable& operator=(const noncopyable&) = delete;
};

}  // namespace kiln

// Internet addresses. One type holds both families: an IPv4 address is kept as its IPv4-mapped IPv6
// form (RFC 4291, 2.5.5.2), so that dual-stack sockets compare and hash alike.
#pragma once

#include <span>
#include <string_view>

#include "lib/bytes.hh"
#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::net {

struct ip_address {
    // Bytes in network order.
    alignas(8) u8 bytes[16]{};

    static constexpr ip_address v4(u32 host_order) {
        ip_address made;
        made.bytes[10] = made.bytes[11] = 0xff;
        for (int i = 0; i < 4; ++i) {
            made.bytes[12 + i] = static_cast<u8>(host_order >> (24 - 8 * i));
        }
        return made;
    }
    static constexpr ip_address v4(u8 a, u8 b, u8 c, u8 d) {
        return v4(u32{a} << 24 | u32{b} << 16 | u32{c} << 8 | d);
    }
    static ip_address v4_bytes(const void* four) { return v4(load_be<u32>(four)); }
    static ip_address v6_bytes(const void* sixteen) {
        ip_address made;
        __builtin_memcpy(made.bytes, sixteen, 16);
        return made;
    }

    u64 high() const { return load<u64>(bytes); }
    u64 low() const { return load<u64>(bytes + 8); }
    bool is_v4() const { return high() == 0 && load_be<u32>(bytes + 8) == 0xffff; }
    u32 to_v4() const { return load_be<u32>(bytes + 12); }
    bool operator==(const ip_address& other) const {
        return high() == other.high() && low() == other.low();
    }

    // ::, 0.0.0.0
    bool is_unspecified() const { return high() == 0 && (low() == 0 || (is_v4() && to_v4() == 0)); }
    bool is_loopback() const {
        return is_v4() ? bytes[12] == 127 : high() == 0 && low() == byteswap(u64{1});
    }
    bool is_multicast() const { return is_v4() ? (bytes[12] & 0xf0) == 0xe0 : bytes[0] == 0xff; }
    bool is_limited_broadcast() const { return is_v4() && to_v4() == 0xffffffff; }
    bool is_link_local() const {
        return is_v4() ? bytes[12] == 169 && bytes[13] == 254
                       : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    }
};

inline constexpr ip_address any_v6{};
inline constexpr ip_address any_v4 = ip_address::v4(0);
inline constexpr ip_address loopback_v4 = ip_address::v4(127, 0, 0, 1);
inline constexpr ip_address loopback_v6 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

// An address and how many of its leading bits name the network; bits count in its own family.
struct ip_prefix {
    ip_address address;
    u8 length = 0;

    bool contains(const ip_address& other) const;
    u8 mapped_length() const { return address.is_v4() ? static_cast<u8>(length + 96) : length; }
};

struct endpoint {
    ip_address address;
    u16 port = 0;
    u32 scope = 0;  // interface index of a link-local address, else 0
    bool operator==(const endpoint& other) const {
        return address == other.address && port == other.port;
    }
};

// "10.0.2.15", "fe80::1"; "10.0.2.15/24". err::inval for anything else.
result<ip_address> parse_address(std::string_view text);
result<ip_prefix> parse_prefix(std::string_view text);
// The usual text (RFC 5952 for IPv6); returns its length. At most 45 characters.
usize format_address(const ip_address& address, std::span<char> to);

}  // namespace kiln::net

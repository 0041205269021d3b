// Headers as they are on the wire. All fields are big-endian and unaligned.
#pragma once

#include "lib/bytes.hh"
#include "net/address.hh"
#include "net/net_device.hh"

namespace kiln::net {

template <class T>
struct big_endian {
    u8 bytes[sizeof(T)];
    operator T() const { return load_be<T>(bytes); }  // NOLINT(google-explicit-constructor)
    big_endian& operator=(T value) {
        store_be<T>(bytes, value);
        return *this;
    }
};
using be16 = big_endian<u16>;
using be32 = big_endian<u32>;

namespace ether_type {
inline constexpr u16 ipv4 = 0x0800, arp = 0x0806, ipv6 = 0x86dd;
}
namespace ip_protocol {
inline constexpr u8 icmp = 1, tcp = 6, udp = 17, icmpv6 = 58, raw = 255;
}

struct ethernet_header {
    mac_address destination;
    mac_address source;
    be16 type;
};
static_assert(sizeof(ethernet_header) == 14);

// RFC 826, for Ethernet and IPv4.
struct arp_header {
    be16 hardware;
    be16 protocol;
    u8 hardware_size;
    u8 protocol_size;
    be16 operation;
    mac_address sender_mac;
    be32 sender_ip;
    mac_address target_mac;
    be32 target_ip;
};
static_assert(sizeof(arp_header) == 28);

// RFC 791.
struct ipv4_header {
    u8 version_and_size;
    u8 service;
    be16 total_size;
    be16 id;
    be16 fragment;  // flags and offset in units of 8 bytes
    u8 ttl;
    u8 protocol;
    u16 checksum;  // memory order
    be32 source;
    be32 destination;

    static constexpr u16 dont_fragment = 0x4000, more_fragments = 0x2000, offset_mask = 0x1fff;
    usize header_size() const { return (version_and_size & 15u) * 4u; }
};
static_assert(sizeof(ipv4_header) == 20);

// RFC 8200.
struct ipv6_header {
    be32 version_class_flow;
    be16 payload_size;
    u8 next_header;
    u8 hop_limit;
    u8 source[16];
    u8 destination[16];
};
static_assert(sizeof(ipv6_header) == 40);

// RFC 792 and RFC 4443 share this start.
struct icmp_header {
    u8 type;
    u8 code;
    u16 checksum;  // memory order
    be32 rest;
};
static_assert(sizeof(icmp_header) == 8);

// RFC 768.
struct udp_header {
    be16 source;
    be16 destination;
    be16 length;
    u16 checksum;  // memory order
};
static_assert(sizeof(udp_header) == 8);

// RFC 9293.
struct tcp_header {
    be16 source;
    be16 destination;
    be32 sequence;
    be32 acknowledgment;
    u8 data_offset;  // upper four bits, in words
    u8 flags;
    be16 window;
    u16 checksum;  // memory order
    be16 urgent;

    static constexpr u8 fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32, ece = 64, cwr = 128;
    usize header_size() const { return (data_offset >> 4) * 4u; }
};
static_assert(sizeof(tcp_header) == 20);

// Headers have no alignment, so they are laid over bytes directly.
template <class Header>
Header* header_at(std::byte* bytes) {
    static_assert(alignof(Header) <= 2);
    return reinterpret_cast<Header*>(bytes);
}

}  // namespace kiln::net

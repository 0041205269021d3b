// The Internet checksum (RFC 1071): sums are kept in 32 bits, unfolded, in the byte order of memory,
// so that they can be added up and stored without swapping. Context: any.
#pragma once

#include <span>

#include "net/address.hh"
#include "net/packet_buffer.hh"

namespace kiln::net {

// Adds `bytes` to a sum; all pieces but the last have an even length.
u32 checksum_add(u32 sum, std::span<const std::byte> bytes);
// Adds a range of a packet, whatever the lengths of its pieces.
u32 checksum_add(u32 sum, const packet_buffer& packet, usize offset, usize size);
// The addresses, length and protocol that TCP, UDP and ICMPv6 include (RFC 9293 3.1, RFC 8200 8.1).
u32 pseudo_header_sum(const ip_address& from, const ip_address& to, u8 protocol, u32 length);

inline u16 checksum_fold(u32 sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(sum);
}
// The value for the header field, to be stored in memory order.
inline u16 checksum_finish(u32 sum) { return static_cast<u16>(~checksum_fold(sum)); }

}  // namespace kiln::net

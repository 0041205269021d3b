#include "net/checksum.hh"

namespace kiln::net {
namespace {

u32 fold_to_32(u64 sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    return static_cast<u32>(sum);
}

// 32-bit words into a 64-bit sum: no carry can be lost below 16 GiB.
u64 sum_bytes(const std::byte* at, usize size) {
    u64 sum = 0;
    for (; size >= 16; at += 16, size -= 16) {
        sum += u64{load<u32>(at)} + load<u32>(at + 4) + load<u32>(at + 8) + load<u32>(at + 12);
    }
    for (; size >= 2; at += 2, size -= 2) {
        sum += load<u16>(at);
    }
    return size == 0 ? sum : sum + static_cast<u8>(*at);
}

}  // namespace

u32 checksum_add(u32 sum, std::span<const std::byte> bytes) {
    return fold_to_32(sum + sum_bytes(bytes.data(), bytes.size()));
}

u32 checksum_add(u32 sum, const packet_buffer& packet, usize offset, usize size) {
    u64 total = sum;
    bool odd = false;
    packet.for_each_piece(offset, size, [&](std::span<const std::byte> piece) {
        u32 part = checksum_fold(fold_to_32(sum_bytes(piece.data(), piece.size())));
        // A piece that starts at an odd offset has its bytes in the other halves of the words.
        part = odd ? byteswap(static_cast<u16>(part)) : part;
        total += part;
        odd ^= (piece.size() & 1) != 0;
        return true;
    });
    return fold_to_32(total);
}

u32 pseudo_header_sum(const ip_address& from, const ip_address& to, u8 protocol, u32 length) {
    const usize skipped = from.is_v4() ? 12 : 0;
    u64 sum = sum_bytes(reinterpret_cast<const std::byte*>(from.bytes) + skipped, 16 - skipped);
    sum += sum_bytes(reinterpret_cast<const std::byte*>(to.bytes) + skipped, 16 - skipped);
    return fold_to_32(sum + byteswap(length) + byteswap(static_cast<u16>(protocol)));
}

}  // namespace kiln::net
